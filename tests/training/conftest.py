import csv
import signal

import pytest
import pytorch_lightning as pl


def validation_terms(folder):
    """The objective's terms in validation by step, from a run's log."""
    rows = [row for log in sorted(folder.glob("log/*/metrics.csv")) for row in csv.DictReader(log.open())]
    return {
        int(row["step"]) + 1: {name: float(row[f"val/{name}"]) for name in ("total", "content", "style", "tv")}
        for row in rows
        if row.get("val/total")
    }


class CtrlC(pl.Callback):
    """A user who ends a run: after so many steps, there in training or in validation."""

    def __init__(self, step, validating):
        self.step = step
        self.validating = validating

    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == self.step and not self.validating:
            raise KeyboardInterrupt

    def on_validation_start(self, trainer, *_):
        if trainer.global_step == self.step and self.validating:
            raise KeyboardInterrupt


@pytest.fixture
def interrupts():
    """Lightning ignores every Ctrl-C after the first: give the next tests theirs back."""
    handler = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, handler)
