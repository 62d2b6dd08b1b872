from allaprima.training.runs import new_folder


def test_folders_are_unique(tmp_path, monkeypatch):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.delenv("ALLAPRIMA_STARTED", raising=False)
    assert len({new_folder(tmp_path, "udnie") for _ in range(2)}) == 2
