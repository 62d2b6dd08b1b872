import contextlib
import csv
import dataclasses
import functools
import itertools
import json
import math
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest
import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file
from torch.optim.swa_utils import AveragedModel

from allaprima.commands import train as run
from allaprima.data.module import LONGEST_FOLDER, PhotoDataModule
from allaprima.data.photos import packaged_photos
from allaprima.errors import UserError, typed
from allaprima.inference.stylizer import Stylizer
from allaprima.media.images import read_picture
from allaprima.networks.blocks import InputNoise
from allaprima.networks.files import load_network, write_network
from allaprima.training.content_weight import GAIN, adjusted_weight
from allaprima.training.initialization import initial_network
from allaprima.training.module import moving_average, rate_share, step_seed
from allaprima.training.runs import new_folder

from .conftest import SMALL, TOP, settings

configuration = functools.partial(settings, "train")
DATA = {"leaves_share": 1.0, "size": 64, "validation_size": 64, "validation_photos": 1, "batch_size": 1, "seed": 0}


def validation(folder):
    """The objective's terms in validation by step, from a run's log."""
    rows = [row for log in sorted(folder.glob("log/*/metrics.csv")) for row in csv.DictReader(log.open())]
    return {
        int(row["step"]) + 1: {name: float(row[f"val/{name}"]) for name in ("total", "content", "style", "tv")}
        for row in rows
        if row.get("val/total")
    }


def test_a_short_run_lowers_the_validation_objective_and_leaves_what_it_should(tmp_path):
    wider = (
        "network.width=16",
        "network.input_noise=0.02",
        "network.painting_noise=0.01",
        "optimizer.learning_rate=3e-3",
    )
    wider = (*wider, "optimizer.decay_share=1", "loss.content_distance=null", "loss.content_weight=0.1")
    path = run.train(configuration(*SMALL, *wider, f"runs={tmp_path}", "trainer.max_steps=60", "trainer.val_every=15"))
    folder = path.parents[1]
    assert path == folder / "models" / "kandinsky.safetensors" and folder.parent == tmp_path / "kandinsky"
    terms = validation(folder)
    assert list(terms) == [15, 30, 45, 60]
    assert terms[60]["total"] < 0.9 * terms[15]["total"]
    sheets = sorted((folder / "samples").iterdir())
    assert [sheet.name for sheet in sheets] == [f"step_0000{step}.png" for step in terms]
    assert read_picture(folder / "samples" / "step_000060.png").image.shape == (3, 4 * 132 + 4, 2 * 132 + 4)
    assert (folder / "config.yaml").read_text().startswith("style:")
    with safe_open(path, "pt") as file:
        metadata = json.loads(file.metadata()["allaprima"])
        assert all(file.get_tensor(key).dtype == torch.float16 for key in file.keys())  # noqa: SIM118
    assert metadata["init"] is None
    assert metadata["network"] == {
        "name": "johnson",
        "width": 16,
        "blocks": 1,
        "input_noise": 0.02,
        "painting_noise": 0.01,
    }
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    kept = load_file(path)
    assert all(torch.equal(value, checkpoint[f"averaged.module.{name}"].half()) for name, value in kept.items())
    assert not all(torch.equal(value, checkpoint[f"network.{name}"].half()) for name, value in kept.items())
    assert metadata["style"]["artist"] == "Wassily Kandinsky"
    assert metadata["loss_network"].startswith("caffe-vgg19-c34748d2")
    assert metadata["loss"]["content_weight"] == 0.1 and metadata["content_weights"] == {"kandinsky": 0.1}
    assert metadata["steps"] == 60 and metadata["images_seen"] == 60 * 4
    assert metadata["seconds"] > 0
    assert metadata["validation"] == pytest.approx(terms[60], abs=1e-4)


def test_a_killed_run_resumes_to_the_weights_of_one_never_interrupted(tmp_path):
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
    run.train(configuration(*settings, f"runs={begun}", *again), [first_step])
    assert first_step.number == done > 0
    run.train(configuration(*settings, f"runs={tmp_path / 'whole'}"))

    (other,) = (tmp_path / "whole" / "kandinsky").iterdir()
    assert list((begun / "kandinsky").iterdir()) == [folder]
    mine, theirs = (torch.load(path / "checkpoints" / "last.ckpt", weights_only=True) for path in (folder, other))
    assert mine["global_step"] == theirs["global_step"] == 14
    assert mine["counts"]["images_seen"] == theirs["counts"]["images_seen"]
    assert mine["content"] == theirs["content"]
    assert all(torch.equal(mine["state_dict"][name], value) for name, value in theirs["state_dict"].items())
    networks = [load_file(path / "models" / "kandinsky.safetensors") for path in (folder, other)]
    assert all(torch.equal(networks[0][name], value) for name, value in networks[1].items())
    assert validation(folder) == validation(other)


def test_a_resumed_run_takes_all_from_its_checkpoint(tmp_path):
    small = (*SMALL, f"runs={tmp_path}", "trainer.max_steps=6", "data.workers=0", "optimizer.learning_rate=0")
    with pytest.raises(SystemExit):
        run.train(configuration(*small), [CtrlC(5, validating=False)])
    (path,) = tmp_path.glob("*/*/checkpoints/last.ckpt")
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["counts"]["images_seen"] += 1000
    checkpoint["content"]["weights"]["kandinsky"] *= 100
    for network in ("network", "averaged.module"):
        checkpoint["state_dict"][f"{network}.layers.0.1.bias"] += 1
    torch.save(checkpoint, path)
    network, metadata = load_network(run.train(configuration(*small, "resume=last")))
    assert metadata.images_seen == 6 * 4 + 1000
    assert metadata.content_weights["kandinsky"] > 10
    assert network.layers[0][1].bias.min() > 0.5


class FirstStep(pl.Callback):
    """Notes where training began."""

    def on_train_start(self, trainer, *_):
        self.number = trainer.global_step


class CtrlC(pl.Callback):
    """A user who ends a run: after so many steps, there in training or in validation."""

    def __init__(self, step, validating):
        self.step, self.validating = step, validating

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


@pytest.mark.parametrize(
    ("step", "validating", "words"),
    [(2, False, "start again"), (4, True, "start again"), (5, False, "resume=last"), (6, True, "resume=last")],
)
def test_ctrl_c_loses_nothing_that_a_checkpoint_holds(tmp_path, interrupts, capsys, step, validating, words):
    small = (*SMALL, "trainer.max_steps=6", "data.workers=0")
    with pytest.raises(SystemExit) as end:
        run.train(configuration(*small, f"runs={tmp_path / 'ended'}"), [CtrlC(step, validating)])
    assert end.value.code == 130 and words in capsys.readouterr().out
    assert not list(tmp_path.glob("ended/*/*/models"))
    if words == "resume=last":
        ended = run.train(configuration(*small, f"runs={tmp_path / 'ended'}", "resume=last"))
        whole = run.train(configuration(*small, f"runs={tmp_path / 'whole'}"))
        networks = [load_file(path) for path in (ended, whole)]
        assert all(torch.equal(networks[0][name], value) for name, value in networks[1].items())


# Where Ctrl-C comes while they are told to end, they are not.
UNTOLD = """
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter
_MultiProcessingDataLoaderIter._shutdown_workers = lambda self: None
from allaprima.cli import run
run("train")
"""


@pytest.mark.parametrize("program", [[TOP / "scripts/train.py"], ["-c", UNTOLD]])
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group_ends_a_run_in_words(tmp_path, sent, program):
    command = [sys.executable, *program, *SMALL, "trainer.max_steps=5000", f"runs={tmp_path}"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    run = subprocess.Popen(command, start_new_session=True, **pipes)
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob("*/*/checkpoints/last.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(run.pid, sent)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 130 and "resume=last goes on" in out
    assert "Traceback" not in err and "Connection" not in err


def in_a_process(*arguments, before=None):
    command = [sys.executable, TOP / "scripts/train.py", *SMALL, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, preexec_fn=before)


def test_a_disk_that_is_full_is_told_in_a_line_and_leaves_no_half_file(tmp_path):
    def full():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    small = ("trainer.max_steps=4", f"runs={tmp_path}", "logger.csv=false", "data.workers=0")
    ended = in_a_process(*small, before=full)
    assert ended.returncode == 2 and "Traceback" not in ended.stderr
    assert re.search(r"^error: cannot write .*\.(ckpt|png): ", ended.stderr, re.MULTILINE)
    assert not [path for path in tmp_path.rglob("*") if path.suffix == ".ckpt" or path.name.startswith(".allaprima")]


class Vanishes(pl.Callback):
    """Photographs that are there no more after some steps."""

    def __init__(self, folder):
        self.folder = folder

    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == 2:
            shutil.rmtree(self.folder)


def test_photographs_that_vanish_end_a_run_in_words_and_keep_its_checkpoint(tmp_path):
    (tmp_path / "photos").mkdir()
    shutil.copy(packaged_photos(["skimage/data/coffee.png"])[0], tmp_path / "photos/1.png")
    small = (*SMALL, f"runs={tmp_path / 'runs'}", "trainer.max_steps=400", "trainer.val_every=1", "data.workers=0")
    small += ("data=folder", f"data.root={tmp_path / 'photos'}")
    with pytest.raises(UserError, match="photographs in a row could not be read"):
        run.train(configuration(*small), [Vanishes(tmp_path / "photos")])
    assert list(tmp_path.glob("runs/*/*/checkpoints/last.ckpt"))


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    config = configuration(*SMALL, f"runs={tmp_path}", "trainer.max_steps=4", "data.workers=0")
    checkpoint = run.train(config).parents[1] / "checkpoints" / "last.ckpt"
    for overrides, words in (
        ([f"resume={checkpoint}", "style=udnie"], "is of Composition VII, not Udnie"),
        ([f"resume={checkpoint}", "network.width=16"], "network.width="),
        ([f"resume={checkpoint}", "loss.tv_weight=7"], "loss.tv_weight="),
        ([f"resume={checkpoint}", "seed=7"], "seed="),
        ([f"resume={checkpoint}", "trainer.max_steps=8"], "max_steps="),
        ([f"resume={checkpoint}", "trainer.precision=16-mixed"], "precision="),
        ([f"resume={checkpoint}"], "has its 4 steps"),
        ([f"resume={tmp_path / 'missing.ckpt'}"], "no such file"),
        ([f"resume={__file__}"], "no checkpoint"),
        ([f"resume={shutil.copy(checkpoint, tmp_path)}"], "not in a run's folder"),
        (["resume=last", "runs=elsewhere"], "nothing to resume"),
    ):
        with pytest.raises(UserError, match=words):
            run.train(configuration(*SMALL, f"runs={tmp_path}", "trainer.max_steps=4", "data.workers=0", *overrides))


def test_a_finished_run_whose_network_is_lost_writes_it_again(tmp_path):
    small = (*SMALL, f"runs={tmp_path}", "trainer.max_steps=4", "data.workers=0")
    path = run.train(configuration(*small))
    before = path.read_bytes()
    path.unlink()
    assert run.train(configuration(*small, "resume=last")) == path
    assert path.read_bytes() == before


def test_several_devices_share_the_steps():
    assert run.steps(configuration("trainer.devices=3").trainer) == 167
    assert run.steps(configuration().trainer) == 500


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("runs/a.safetensors", "model=runs/a.safetensors"),
        ("my art (1).x", "'model=\"my art (1).x\"'"),
        ("runs/Kandinsky,_1913.x", "'model=\"runs/Kandinsky,_1913.x\"'"),
        ("a=b.x", "'model=\"a=b.x\"'"),
    ],
)
def test_a_path_is_told_as_it_is_typed(path, words):
    assert typed("model", path) == words
    (setting,) = shlex.split(words)
    assert configuration(setting.replace("model", "init")).init == path


def test_runs_that_start_in_the_same_second_have_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.delenv("ALLAPRIMA_STARTED", raising=False)
    assert len({new_folder(tmp_path, "udnie") for _ in range(2)}) == 2


def test_a_run_with_another_teacher_or_other_photographs_does_not_go_on(tmp_path):
    (tmp_path / "photos").mkdir()
    for number in range(3):
        Image.effect_noise((80, 80), 50).convert("RGB").save(tmp_path / "photos" / f"{number}.jpg")
    small = (*SMALL, f"runs={tmp_path / 'runs'}", "trainer.max_steps=4", "data.workers=0", "data=folder")
    small += (f"data.root={tmp_path / 'photos'}", "resume=last")
    teacher = run.train(configuration(*small[:-1], "teacher=kandinsky"))
    with pytest.raises(UserError, match="teacher_sha256="):
        run.train(configuration(*small, f"teacher={teacher}"))
    network, metadata = load_network("kandinsky")
    write_network(tmp_path / "kandinsky.safetensors", network, dataclasses.replace(metadata, equivalent_iterations={}))
    with pytest.raises(UserError, match="has its 4 steps already"):  # the weights count, not what is told of them
        run.train(configuration(*small, f"teacher={tmp_path / 'kandinsky.safetensors'}"))
    (tmp_path / "photos" / "0.jpg").unlink()
    with pytest.raises(UserError, match="photographs=3, not 2"):
        run.train(configuration(*small, "teacher=kandinsky"))


def test_wandb_stays_offline_without_a_key(tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_SILENT", "true")
    path = run.train(
        configuration(*SMALL, f"runs={tmp_path}", "trainer.max_steps=4", "data.workers=0", "logger=both", "data=leaves")
    )
    assert list(path.parents[1].glob("wandb/offline-run-*/*.wandb"))
    assert list(path.parents[1].glob("log/*/metrics.csv"))


@pytest.mark.parametrize("loss", ["johnson", "gatys"])
def test_the_other_objectives_train_towards_any_picture_in_float32(tmp_path, loss, capsys):
    (painting,) = packaged_photos(["skimage/data/coffee.png"])
    mine = (f"style.image={painting}", "style.size=64")
    steps = ("trainer.max_steps=4", "data.workers=0", "trainer.precision=32-true")
    path = run.train(configuration(*SMALL, f"runs={tmp_path}", f"loss={loss}", *mine, *steps))
    assert path.name == "coffee.safetensors"
    assert "computing in 32-true" in capsys.readouterr().out


def test_a_run_can_begin_with_a_network_that_paints_already(tmp_path):
    small = (*SMALL, f"runs={tmp_path}", "trainer.max_steps=4", "data.workers=0")
    first = run.train(configuration(*small))
    second = run.train(configuration(*small, "style=udnie", f"init={first}", "optimizer.learning_rate=0"))
    mine, theirs = load_file(first), load_file(second)
    assert all(torch.equal(mine[name], value) for name, value in theirs.items())
    with safe_open(second, "pt") as file:
        ancestor = json.loads(file.metadata()["allaprima"])["init"]
    assert (ancestor["style"], ancestor["steps"], ancestor["init"]) == ("kandinsky", 4, None)
    assert ancestor["loss"]["content_distance"] == configuration().loss.content_distance
    assert ancestor["settings"]["max_steps"] == 4
    with pytest.raises(UserError, match="give the same network="):
        run.train(configuration(*small, f"init={first}", "network.width=16"))


def test_a_network_sees_the_same_noise_as_its_teacher_and_keeps_its_content_weight(tmp_path, monkeypatch):
    seen = []
    noisy = InputNoise.forward

    def watched(self, photos, training, corner):
        seen.append(noisy(self, photos, training, corner))
        return seen[-1]

    monkeypatch.setattr(InputNoise, "forward", watched)
    small = (*SMALL, f"runs={tmp_path}", "trainer.max_steps=1", "data.workers=0", "teacher=kandinsky")
    path = run.train(configuration(*small, "teacher_weight=1", "loss.content_distance=0.01"))
    mine, teachers = seen[:2]
    assert mine.shape[0] == 4 and torch.equal(mine, teachers)
    weights = [load_network(name)[1].content_weights["kandinsky"] for name in (path, "kandinsky")]
    assert weights[0] == weights[1]


def test_a_teacher_may_call_the_painting_otherwise(tmp_path):
    network, metadata = load_network("kandinsky")
    painting = dataclasses.replace(metadata.style, name="composition")
    metadata = dataclasses.replace(metadata, style=painting, content_weights={"composition": 0.7})
    write_network(tmp_path / "composition.safetensors", network, metadata)
    taught = ("trainer.max_steps=1", "data.workers=0", f"teacher={tmp_path / 'composition.safetensors'}")
    path = run.train(configuration(*SMALL, f"runs={tmp_path}", *taught, "teacher_weight=1"))
    assert load_network(path)[1].content_weights == {"kandinsky": 0.7}


@torch.inference_mode()
def test_a_small_network_can_learn_what_a_larger_one_paints(tmp_path, held_out):
    small = (
        *SMALL,
        "network=realtime",
        "network.width=16",
        "data.workers=0",
        "trainer.val_every=20",
        "teacher=kandinsky",
    )
    taught = load_network("kandinsky")[0](held_out)
    distances = []
    for steps in (1, 80):
        settings = (f"runs={tmp_path}/{steps}", f"trainer.max_steps={steps}", "trainer.val_every=20")
        with torch.inference_mode(False):
            path = run.train(configuration(*small, *settings, "optimizer.learning_rate=5e-3"))
        network, metadata = load_network(path)
        distances.append((network(held_out) - taught).square().mean())
    assert distances[1] < 0.5 * distances[0]
    assert metadata.teacher == "kandinsky"
    with pytest.raises(UserError, match="paints Composition VII: give a network of Udnie"):
        run.train(configuration(*small, "style=udnie"))


@pytest.mark.parametrize(
    ("overrides", "start"),
    [
        ([], ("base", False)),
        (["style=woman_with_a_hat"], ("base", False)),
        (["style=udnie", "network=realtime"], ("kandinsky", False)),
        (["styles=[udnie,kandinsky]"], None),
        (["network.blocks=3", "init=udnie"], ("udnie", True)),
        (["network.width=8"], None),
        (["init=scratch"], None),
    ],
)
def test_a_run_begins_with_the_bundled_network_of_its_kind(overrides, start):
    config = configuration(*overrides)
    network = OmegaConf.to_container(config.network)
    _, ancestor = initial_network(network, config.styles, config.init, config.style.name)
    assert (ancestor and (ancestor["style"], ancestor["pruned"])) == start


@torch.no_grad()
def test_a_painting_of_the_base_network_begins_with_its_own_norms_another_with_their_mean():
    base, metadata = load_network("base/johnson")
    photos = torch.rand(1, 3, 32, 32)
    known = metadata.styles[0]
    arguments = metadata.network
    network, _ = initial_network(arguments, None, "auto", known)
    base.network.input_noise = network.input_noise = None
    assert torch.allclose(network(photos), base(photos, known), atol=1e-5)
    network, _ = initial_network(arguments, None, "auto", "of nobody")
    mean = torch.stack([norms[0] for norms in base.norms.values()]).mean(0)
    assert torch.allclose(network.state_dict()[base.names[0]], mean)


def test_a_painting_may_have_a_dot_in_its_name_and_another_name_does_not_resume(tmp_path):
    Image.effect_noise((96, 64), 50).convert("RGB").save(tmp_path / "st.paul.png")
    shutil.copy(tmp_path / "st.paul.png", tmp_path / "type.png")
    small = (*SMALL, f"runs={tmp_path}", "trainer.max_steps=4", "data.workers=0", "style.size=64")
    path = run.train(configuration(*small, f"style.image={tmp_path / 'st.paul.png'}"))
    assert path.name == "st.paul.safetensors"
    resume = f"resume={path.parents[1] / 'checkpoints/last.ckpt'}"
    with pytest.raises(UserError, match=r"of a picture called st\.paul"):
        run.train(configuration(*small, f"style.image={tmp_path / 'type.png'}", resume))


def test_a_network_for_several_may_be_of_one(tmp_path):
    small = (*SMALL, f"runs={tmp_path}", "trainer.max_steps=2", "data.workers=0")
    _, metadata = load_network(run.train(configuration(*small, "styles=[udnie]")))
    assert metadata.styles == ["udnie"]


def test_two_processes_train_one_network(tmp_path):
    script = tmp_path / "allaprima"  # since Lightning starts the file again
    script.write_text("from allaprima.cli import main\nmain()\n")
    command = [sys.executable, script, "train", *SMALL, f"runs={tmp_path}"]
    options = ("trainer.max_steps=8", "trainer.devices=2", "data.workers=0")
    with (tmp_path / "log.txt").open("wb") as log:  # no pipe, which a process that is left would hold open
        ended = subprocess.run([*command, *options], stdout=log, stderr=log, timeout=150)
    assert ended.returncode == 0, (tmp_path / "log.txt").read_text()
    (path,) = tmp_path.glob("*/*/models/*.safetensors")
    metadata = load_network(path)[1]
    assert (metadata.steps, metadata.images_seen) == (4, 2 * 4 * 4)


def test_an_addresss_secrets_are_not_kept_in_a_runs_settings():
    config = configuration("style.image='https://me:hidden@example.org/a.png?token=hidden'")
    kept = run.settings_file(config)
    assert "https://example.org/a.png" in kept and "hidden" not in kept
    assert "image: painting.png" in run.settings_file(configuration("style.image=painting.png"))


def test_several_paintings_share_one_network(tmp_path):
    small = (*SMALL, f"runs={tmp_path}", "trainer.max_steps=8", "data.workers=0", "styles=[udnie,great_wave]")
    path = run.train(configuration(*small, "optimizer.learning_rate=1e-2"))
    assert path.parts[-4] == "base" and path.name == "base.safetensors"
    network, metadata = load_network(path)
    assert metadata.styles == ["udnie", "great_wave"] and set(metadata.content_weights) == {"udnie", "great_wave"}
    photos = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        udnie, wave = (network(photos, style) for style in metadata.styles)
    assert (udnie - wave).abs().mean() > 1e-3
    with pytest.raises(UserError, match="2 paintings"):
        Stylizer.load(path)
    again = run.train(configuration(*small, f"init={path}", "optimizer.learning_rate=0"))
    theirs = load_file(again)
    assert all(torch.equal(value, theirs[name]) for name, value in load_file(path).items())
    single = run.train(configuration(*small[:-1], f"init={path}", "optimizer.learning_rate=0", "style=udnie"))
    with torch.no_grad():
        assert torch.allclose(load_network(single)[0](photos), udnie, atol=1e-2)


def test_the_content_weight_is_led_to_the_content_distance():
    weight = 0.2
    for _ in range(100):
        weight = adjusted_weight(weight, mean=0.1 / weight, distance=0.8)  # the more it weighs, the less is lost
    assert weight == pytest.approx(0.1 / 0.8, rel=0.01)
    assert adjusted_weight(0.2, 100.0, 0.8) == pytest.approx(0.2 * math.exp(GAIN))
    assert adjusted_weight(0.2, 0.0, 0.8) == pytest.approx(0.2 * math.exp(-GAIN))


@pytest.mark.parametrize(("distance", "weight"), [(0.01, 0.2 * math.exp(3 * GAIN)), (1000, 0.2 * math.exp(-3 * GAIN))])
def test_training_leads_the_content_weight(tmp_path, distance, weight):
    small = (*SMALL, f"runs={tmp_path}", "trainer.max_steps=3", "data.workers=0", f"loss.content_distance={distance}")
    metadata = load_network(run.train(configuration(*small)))[1]
    assert metadata.content_weights["kandinsky"] == pytest.approx(weight, rel=0.01)


WEIGHTS = ("loss.content_weight", "loss.style_weight", "loss.tv_weight")
TERMS = (*WEIGHTS, "grid_weight", "stability_weight", "teacher_weight")


@pytest.mark.parametrize("term", TERMS)
def test_every_term_of_the_objective_is_trained_on(tmp_path, term):
    small = (*SMALL, f"runs={tmp_path}", "trainer.max_steps=2", "data.workers=0", "loss.content_distance=null")
    small += ("teacher=kandinsky",) if term == "teacher_weight" else ()
    light, heavy = (load_file(run.train(configuration(*small, f"{term}={weight}"))) for weight in (0.01, 100))
    assert any(not torch.equal(light[name], value) for name, value in heavy.items())


def test_every_step_and_device_draws_something_else():
    draws = set()
    for place in itertools.product((0, 1), (0, 1, 2, 500), (0, 1)):
        torch.manual_seed(step_seed(*place))
        draws.add(torch.rand(1).item())
    assert len(draws) == 16


def test_the_rate_rises_stays_and_falls():
    shares = [rate_share(step, steps=100, warmup=10, decay_share=0.4) for step in range(101)]
    assert shares[0] == 0.1 and shares[9:61] == [1.0] * 52
    assert shares[80] == pytest.approx(0.5) and shares[100] == 0
    assert all(later < earlier for earlier, later in itertools.pairwise(shares[60:]))
    assert rate_share(0, steps=1, warmup=0, decay_share=0) == 1


def test_the_average_of_weights_forgets_the_start_soon_and_noise_late():
    averaged = AveragedModel(torch.nn.Linear(1, 1, bias=False), multi_avg_fn=moving_average(0.9))
    current = torch.nn.Linear(1, 1, bias=False)
    values = []
    for step in range(300):
        torch.nn.init.constant_(current.weight, 100 if step == 0 else float(step % 2))
        averaged.update_parameters(current)
        values.append(averaged.module.weight.item())
    assert values[0] == 100 and values[30] < 1  # with 0.9 from the start, 100 * 0.9 ** 30 = 4 of it would be left
    assert values[-1] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("broken", [1, 90])
def test_broken_photographs_are_passed_over_and_counted(tmp_path, capsys, broken):
    """Of a hundred; what all of them being broken gives is in test_data."""
    for number in range(100):
        path = tmp_path / "photos" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (70, 70), (number, 99, 0)).save(path)
        if number < broken:
            path.write_bytes(path.read_bytes()[:60])
    folder = (
        *SMALL,
        "data=folder",
        f"data.root={tmp_path / 'photos'}",
        f"runs={tmp_path}",
        "data.workers=0",
        "data.batch_size=1",
    )
    steps = 100 if broken == 1 else 3  # every photograph once; or some
    path = run.train(configuration(*folder, f"trainer.max_steps={steps}", f"trainer.val_every={steps}"))
    counted = re.search(r"(\d+) times a photograph could not be read", capsys.readouterr().out)
    assert path.exists() and (int(counted[1]) == 1 if broken == 1 else int(counted[1]) > 5)


def test_a_temporary_folder_that_processes_cannot_use_is_refused(tmp_path, monkeypatch):
    """Its path is too long for a socket: they would wait for each other for ten minutes, and then for ever."""
    longest = str(tmp_path)[:4].ljust(LONGEST_FOLDER, "x")
    for folder, workers, refused in ((longest + "x", 1, True), (longest + "x", 0, False), (longest, 1, False)):
        monkeypatch.setattr(tempfile, "tempdir", folder)
        with pytest.raises(UserError, match="TMPDIR") if refused else contextlib.nullcontext():
            PhotoDataModule("leaves", None, **DATA | {"workers": workers})


def test_a_run_whose_photographs_never_come_ends(tmp_path):
    """As in such a folder, where they cannot be passed on."""
    folder = tmp_path / ("x" * 80)
    folder.mkdir()
    program = """
from allaprima.data import module
module.WAIT_SECONDS, module.LONGEST_FOLDER = 3, 1000
from allaprima.cli import run
run("train")
"""
    command = [sys.executable, "-c", program, *SMALL, f"runs={tmp_path}", "trainer.max_steps=4", "data.workers=1"]
    environment = os.environ | {"TMPDIR": str(folder)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90)
    assert ended.returncode == 2 and "timed out after 3 seconds; data.workers=0" in ended.stderr.splitlines()[-1]


def test_a_run_that_diverges_says_so(tmp_path):
    settings = ("optimizer.learning_rate=1e30", "trainer.max_steps=8", "data.workers=0")
    with pytest.raises(UserError, match="NaN or infinite"):
        run.train(configuration(*SMALL, f"runs={tmp_path}", *settings))


MISTAKEN = (
    "trainer.max_steps=0",
    "trainer.precision=half",
    "trainer.accelerator=abacus",
    "trainer.devices=0",
    "trainer=gpu",
    "optimizer.learning_rate=fast",
    "optimizer.ema_decay=2",
    "loss.tv_weight=nan",
    "loss.content_distance=far",
    "loss.content_distance=0",
    "loss.style_layers=[relu1_2,block1_conv2]",
    "loss.layer_weights=[1,2]",
    "styles=kandinsky",
    "styles=[udnie,udnie]",
    "styles=[udnie] teacher=udnie",
    "styles=[udnie] style.image=painting.png",
    "teacher_weight=1",
    "teacher=kandinsky stability_weight=1",
    "loss.depth=11",
    "loss.style_layers=relu3_3",
    "data.batch_size=two",
    "data.size=8",
    "network.width=0",
    "network.input_noise=much",
    "network.hidden=0 network=realtime",
    "seed=4294967296",
)


@pytest.mark.parametrize("override", MISTAKEN)
def test_numbers_that_no_run_can_work_with_are_refused(override):
    if override == "trainer=gpu" and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(UserError, match=override.split("=")[0]):
        run.train(configuration(*override.split()))


def test_experiment_full_is_two_epochs_of_coco():
    config = configuration("experiment=full")
    assert config.data.source == "coco" and config.trainer.accelerator == "gpu"
    assert config.data.size == 256 and config.data.batch_size == 4
    assert config.trainer.max_steps == 2 * 118287 // 4
    assert configuration("experiment=full", "trainer=ddp").trainer.strategy == "ddp"


def test_mistakes_are_told_in_one_line(refused, tmp_path):
    refused(["train.py", "style=mona_lisa"], "mona_lisa", "kandinsky")
    refused(["train.py", "data=coco", f"data.root={tmp_path}"], "is not COCO 2017", "download.py")
    refused(["train.py", "style.image=missing.jpg"], "missing.jpg")
    refused(["train.py", "loss.weights=imagenet"], "style.image=PATH")
    refused(["train.py", *SMALL, "logger.wandb=no"], "logger.wandb=no", "true or false")
    (tmp_path / "file").write_text("in the way")
    refused(["train.py", *SMALL, "runs=file"], "cannot write")
