import csv
import itertools
import json
import shlex
import shutil
import signal
import subprocess
import sys
import time

import pytest
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file
from torch.optim.swa_utils import AveragedModel

from allaprima import training_run as run
from allaprima.data.photos import packaged_photos
from allaprima.errors import UserError
from allaprima.images import read_picture
from allaprima.network_file import load_network, write_network
from allaprima.settings import typed
from allaprima.start import initial_network
from allaprima.style import shipped_style
from allaprima.training import moving_average, rate_share, step_seed

from .conftest import TOP

SMALL = (
    "network.width=8",
    "network.blocks=1",
    "data.size=64",
    "data.batch_size=4",
    "data.validation_size=128",
    "trainer.val_every=4",
    "optimizer.warmup_steps=2",
)


def configuration(*overrides):
    with initialize_config_dir(str(TOP / "configs"), version_base="1.3"):
        return compose("train", overrides)


def validation(folder):
    """The validation objective by step, from a run's log."""
    rows = [row for log in sorted(folder.glob("log/*/metrics.csv")) for row in csv.DictReader(log.open())]
    return {int(row["step"]) + 1: float(row["val/total"]) for row in rows if row.get("val/total")}


def test_a_short_run_lowers_the_validation_objective_and_leaves_what_it_should(tmp_path):
    wider = ("network.width=16", "network.grain=0.02", "network.painting_grain=0.01", "optimizer.learning_rate=3e-3")
    wider = (*wider, "optimizer.decay_share=1", "style.content_weight=0.1")
    path = run.train(configuration(*SMALL, *wider, f"runs={tmp_path}", "trainer.max_steps=60", "trainer.val_every=15"))
    folder = path.parents[1]
    assert path == folder / "models" / "kandinsky.safetensors" and folder.parent == tmp_path / "kandinsky"
    objective = validation(folder)
    assert list(objective) == [15, 30, 45, 60]
    assert objective[60] < 0.9 * objective[15]
    sheets = sorted((folder / "samples").iterdir())
    assert [sheet.name for sheet in sheets] == [f"step_0000{step}.png" for step in objective]
    assert read_picture(folder / "samples" / "step_000060.png").image.shape == (3, 4 * 132 + 4, 2 * 132 + 4)
    assert (folder / "config.yaml").read_text().startswith("style:")
    with safe_open(path, "pt") as file:
        metadata = json.loads(file.metadata()["allaprima"])
        assert all(file.get_tensor(key).dtype == torch.float16 for key in file.keys())  # noqa: SIM118
    assert metadata["init"] is None
    assert metadata["network"] == {"name": "johnson", "width": 16, "blocks": 1, "grain": 0.02, "painting_grain": 0.01}
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    for name, kept in load_file(path).items():
        assert torch.equal(kept, checkpoint[f"averaged.module.{name}"].half())
        assert not torch.equal(kept, checkpoint[f"network.{name}"].half())
    assert metadata["style"]["artist"] == "Wassily Kandinsky"
    assert metadata["loss_network"].startswith("craft-vgg16-4a5efbfb")
    assert metadata["loss"]["content_weight"] == configuration(*wider).loss.content_weight
    assert metadata["steps"] == 60 and metadata["images_seen"] == 60 * 4
    assert metadata["seconds"] > 0
    assert metadata["validation"]["total"] == pytest.approx(objective[60], abs=1e-4)


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

    again = ("resume=last", "init=what the run began with no longer matters")
    run.train(configuration(*settings, f"runs={begun}", *again))
    run.train(configuration(*settings, f"runs={tmp_path / 'whole'}"))

    (other,) = (tmp_path / "whole" / "kandinsky").iterdir()
    assert list((begun / "kandinsky").iterdir()) == [folder]
    mine, theirs = (torch.load(path / "checkpoints" / "last.ckpt", weights_only=True) for path in (folder, other))
    assert mine["global_step"] == theirs["global_step"] == 14
    assert mine["counts"]["images_seen"] == theirs["counts"]["images_seen"]
    assert all(torch.equal(mine["state_dict"][name], value) for name, value in theirs["state_dict"].items())
    networks = [load_file(path / "models" / "kandinsky.safetensors") for path in (folder, other)]
    assert all(torch.equal(networks[0][name], value) for name, value in networks[1].items())
    assert validation(folder) == validation(other)


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
    [(2, False, "start anew"), (4, True, "start anew"), (5, False, "resume=last"), (6, True, "resume=last")],
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
    shutil.rmtree(path.parent)
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
    assert len({run.new_folder(tmp_path, "udnie") for _ in range(2)}) == 2


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
    write_network(tmp_path / "kandinsky.safetensors", network, metadata | {"worth": {}})
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
    mine = ("loss.weights=craft", "loss.depth=16", f"style.image={painting}", "style.size=64")
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
    assert ancestor["loss"]["content_weight"] == configuration().loss.content_weight
    assert ancestor["settings"]["max_steps"] == 4
    with pytest.raises(UserError, match="give the same network="):
        run.train(configuration(*small, f"init={first}", "network.width=16"))


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
    lesson = load_network("kandinsky")[0].eval()(held_out)
    distances = []
    for steps in (1, 80):
        settings = (f"runs={tmp_path}/{steps}", f"trainer.max_steps={steps}", "trainer.val_every=20")
        with torch.inference_mode(False):
            path = run.train(configuration(*small, *settings, "optimizer.learning_rate=5e-3"))
        network, metadata = load_network(path)
        distances.append((network.eval()(held_out) - lesson).square().mean())
    assert distances[1] < 0.5 * distances[0]
    assert metadata["teacher"] == "kandinsky"
    with pytest.raises(UserError, match="paints Composition VII: give a network of Udnie"):
        run.train(configuration(*small, "style=udnie"))


@pytest.mark.parametrize(
    ("overrides", "start"),
    [
        ([], ("starry_night", False)),
        (["style=udnie"], ("kandinsky", False)),
        (["network=realtime"], ("starry_night", False)),
        (["network=realtime", "network.hidden=16", "init=udnie_realtime"], ("udnie", True)),
        (["network.blocks=3", "init=udnie"], ("udnie", True)),
        (["network.width=8"], None),
        (["init=scratch"], None),
    ],
)
def test_a_run_begins_with_the_network_of_another_painting(overrides, start):
    config = configuration(*overrides)
    _, ancestor = initial_network(config, shipped_style(config.style.name))
    assert (ancestor and (ancestor["style"], ancestor["pruned"])) == start


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


def test_a_run_that_diverges_says_so(tmp_path):
    settings = ("optimizer.learning_rate=1e30", "trainer.max_steps=8", "data.workers=0")
    with pytest.raises(UserError, match="no number any more"):
        run.train(configuration(*SMALL, f"runs={tmp_path}", *settings))


MISTAKEN = (
    "trainer.max_steps=0",
    "trainer.precision=half",
    "trainer.accelerator=abacus",
    "trainer.devices=0",
    "trainer=gpu",
    "optimizer.learning_rate=fast",
    "optimizer.average_decay=2",
    "loss.tv_weight=nan",
    "loss.grid_weight=much",
    "loss.color_weight=-1",
    "loss.depth=11",
    "loss.style_layers=relu3_3",
    "data.batch_size=two",
    "data.size=8",
    "network.width=0",
    "network.grain=much",
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
