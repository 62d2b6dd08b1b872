import pytest

from benchmarks import infer, peak, quality, rounds, train


@pytest.fixture
def in_this_process(monkeypatch):
    """Measure without fresh processes, each of which takes seconds to import PyTorch, and a small matrix product."""
    for module in (infer, quality, rounds, train):
        monkeypatch.setattr(module, "in_fresh_process", lambda function, settings: function(settings))
    monkeypatch.setattr(peak, "MATRIX", 256)
