import dataclasses
import shutil
import subprocess
import sys
import time

import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from safetensors.torch import load_file

from allaprima.commands.train import train
from allaprima.errors import UserError
from allaprima.hardware import fastest_precision
from allaprima.networks.files import load_network, write_network

from ..conftest import SMALL, TOP, train_config
from .conftest import CtrlC, validation_terms


class FirstStep(pl.Callback):
    """Notes where training began."""

    def on_train_start(self, trainer, *_):
        self.number = trainer.global_step


def test_killed_run_resumes(tmp_path):
    settings = (*SMALL, "trainer.max_steps=14")
    begun = tmp_path / "killed"
    killed = subprocess.Popen([sys.executable, TOP / "scripts" / "train.py", *settings, f"runs={begun}"])
    deadline = time.monotonic() + 300
    while not list(begun.glob("*/*/checkpoints/last.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.02)
    killed.kill()
    killed.wait()
    (folder,) = (begun / "kandinsky").iterdir()
    assert not (folder / "models").exists()

    checkpoint = folder / "checkpoints" / "last.ckpt"
    done = torch.load(checkpoint, weights_only=True)["global_step"]
    again = ("resume=last", "init=what the run began with no longer matters")
    first_step = FirstStep()
    train(train_config(*settings, f"runs={begun}", *again), [first_step])
    assert first_step.number == done > 0
    train(train_config(*settings, f"runs={tmp_path / 'whole'}"))

    (other,) = (tmp_path / "whole" / "kandinsky").iterdir()
    assert list((begun / "kandinsky").iterdir()) == [folder]
    mine, theirs = (torch.load(path / "checkpoints" / "last.ckpt", weights_only=True) for path in (folder, other))
    assert mine["global_step"] == theirs["global_step"] == 14
    assert mine["counts"]["images_seen"] == theirs["counts"]["images_seen"]
    assert mine["content"] == theirs["content"]
    assert all(torch.equal(mine["state_dict"][name], value) for name, value in theirs["state_dict"].items())
    weights = [load_file(path / "models" / "kandinsky.safetensors") for path in (folder, other)]
    assert all(torch.equal(weights[0][name], value) for name, value in weights[1].items())
    assert validation_terms(folder) == validation_terms(other)


def test_state_comes_from_the_checkpoint(tmp_path, interrupts):
    small = (*SMALL, f"runs={tmp_path}", "trainer.max_steps=6", "data.workers=0", "optimizer.learning_rate=0")
    with pytest.raises(SystemExit):
        train(train_config(*small), [CtrlC(5, validating=False)])
    (path,) = tmp_path.glob("*/*/checkpoints/last.ckpt")
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["counts"]["images_seen"] += 1000
    checkpoint["content"]["weights"]["kandinsky"] = [100.0, 200.0]
    for prefix in ("network", "averaged.module"):
        checkpoint["state_dict"][f"{prefix}.codes"] += 1
    torch.save(checkpoint, path)
    network, metadata = load_network(train(train_config(*small, "resume=last")))
    assert metadata.images_seen == 6 * 2 + 1000
    assert min(metadata.content_weights["kandinsky"]) > 10
    assert network.codes.min() > 0.5


def test_old_names_are_translated(tmp_path, interrupts):
    small = (*SMALL, f"runs={tmp_path}", "trainer.max_steps=6", "data.workers=0", "terms.grid=0.5")
    with pytest.raises(SystemExit):
        train(train_config(*small), [CtrlC(5, validating=False)])
    (path,) = tmp_path.glob("*/*/checkpoints/last.ckpt")
    checkpoint = torch.load(path, weights_only=True)
    network = checkpoint["allaprima"]["network"]
    optimizer = checkpoint["settings"]["optimizer"]
    network |= {"grain": network.pop("input_noise"), "painting_grain": network.pop("painting_noise")}
    optimizer["average_decay"] = optimizer.pop("ema_decay")
    terms = checkpoint["settings"].pop("terms")
    checkpoint["settings"] |= {"teacher_weight": None, "grid_weight": 0.5, "stability_weight": terms["stability"]}
    torch.save(checkpoint, path)
    with pytest.raises(UserError, match=r"trained with terms\.grid=0\.5, not 0\.25"):
        train(train_config(*small, "resume=last", "terms.grid=0.25"))
    assert train(train_config(*small, "resume=last")).exists()


def test_other_checkpoints_are_refused(tmp_path):
    config = train_config(*SMALL, f"runs={tmp_path}", "trainer.max_steps=4", "data.workers=0")
    checkpoint = train(config).parents[1] / "checkpoints" / "last.ckpt"
    other = "bf16-mixed" if fastest_precision("cpu") == "32-true" else "32-true"
    for overrides, words in (
        ([f"resume={checkpoint}", "style=udnie"], "is of Composition VII .*, not Udnie"),
        ([f"resume={checkpoint}", "network.width=16"], "network.width="),
        ([f"resume={checkpoint}", "loss.tv_weight=7"], "loss.tv_weight="),
        ([f"resume={checkpoint}", "seed=7"], "seed="),
        (
            [f"resume={checkpoint}", "trainer.max_steps=8"],
            r"max_steps=4, not 8: .* leave out resume= and give init=.*\.safetensors",
        ),
        ([f"resume={checkpoint}", f"trainer.precision={other}"], "precision="),
        ([f"resume={checkpoint}"], "has its 4 steps"),
        ([f"resume={tmp_path / 'missing.ckpt'}"], "no such file"),
        ([f"resume={__file__}"], "no checkpoint"),
        ([f"resume={shutil.copy(checkpoint, tmp_path)}"], "not in a run's folder"),
        (["resume=last", "runs=elsewhere"], "nothing to resume"),
    ):
        with pytest.raises(UserError, match=words):
            train(train_config(*SMALL, f"runs={tmp_path}", "trainer.max_steps=4", "data.workers=0", *overrides))


def test_lost_network_is_written_again(tmp_path):
    small = (*SMALL, f"runs={tmp_path}", "trainer.max_steps=4", "data.workers=0")
    path = train(train_config(*small))
    before = path.read_bytes()
    path.unlink()
    assert train(train_config(*small, "resume=last")) == path
    assert path.read_bytes() == before


def test_other_teacher_or_photographs_are_refused(tmp_path):
    (tmp_path / "photos").mkdir()
    for number in range(3):
        Image.effect_noise((80, 80), 50).convert("RGB").save(tmp_path / "photos" / f"{number}.jpg")
    small = (*SMALL, f"runs={tmp_path / 'runs'}", "trainer.max_steps=4", "data.workers=0", "data=folder")
    small += (f"data.root={tmp_path / 'photos'}", "resume=last")
    teacher = train(train_config(*small[:-1], "teacher=kandinsky"))
    with pytest.raises(UserError, match="teacher_sha256="):
        train(train_config(*small, f"teacher={teacher}"))
    network, metadata = load_network("kandinsky")
    write_network(tmp_path / "kandinsky.safetensors", network, dataclasses.replace(metadata, equivalent_iterations={}))
    with pytest.raises(UserError, match="has its 4 steps already"):  # the weights count, not what is told of them
        train(train_config(*small, f"teacher={tmp_path / 'kandinsky.safetensors'}"))
    (tmp_path / "photos" / "0.jpg").unlink()
    with pytest.raises(UserError, match="photographs=3, not 2"):
        train(train_config(*small, "teacher=kandinsky"))


def test_style_names(tmp_path):
    Image.effect_noise((96, 64), 50).convert("RGB").save(tmp_path / "st.paul.png")
    shutil.copy(tmp_path / "st.paul.png", tmp_path / "type.png")
    small = (*SMALL, f"runs={tmp_path}", "trainer.max_steps=4", "data.workers=0", "style.size=64")
    path = train(train_config(*small, f"style.image={tmp_path / 'st.paul.png'}"))
    assert path.name == "st.paul.safetensors"
    resume = f"resume={path.parents[1] / 'checkpoints/last.ckpt'}"
    with pytest.raises(UserError, match=r"of a picture called st\.paul"):
        train(train_config(*small, f"style.image={tmp_path / 'type.png'}", resume))
