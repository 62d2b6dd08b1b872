import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from allaprima.cli import literal
from allaprima.commands.train import settings_file, train
from allaprima.errors import UserError
from allaprima.networks.files import load_network

from ..conftest import COFFEE, SMALL, train_config


def test_secrets_are_not_kept():
    config = train_config("style.image='https://me:hidden@example.org/a.png?token=hidden'")
    kept = settings_file(config)
    assert "https://example.org/a.png" in kept and "hidden" not in kept
    assert "image: painting.png" in settings_file(train_config("style.image=painting.png"))


INVALID = (
    "trainer.max_steps=0",
    "trainer.precision=half",
    "trainer.accelerator=abacus",
    "trainer.devices=0",
    "trainer.devices=99999999999",
    "trainer.strategy=abc",
    "trainer.strategy=ddp_spawn",
    "trainer.strategy=fsdp",
    "trainer.precision=16-mixed",
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
    "terms.distillation=1",
    "teacher=kandinsky terms.stability=1",
    "loss.depth=11",
    "loss.style_layers=relu3_3",
    "data.batch_size=two",
    "data.size=8",
    "network.width=0",
    "network.input_noise=much",
    "network.hidden=0 network=realtime",
    "seed=4294967296",
)


@pytest.mark.parametrize("override", INVALID)
def test_invalid_settings_are_refused(override):
    if override in ("trainer=gpu", "trainer.precision=16-mixed") and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(UserError, match=override.split("=")[0]):
        train(train_config(*override.split()))


def test_full_experiment():
    config = train_config("experiment=full")
    assert config.data.source == "coco" and config.trainer.accelerator == "gpu"
    assert config.data.size == 256 and config.data.batch_size == 4
    assert config.trainer.max_steps == 2 * 118287 // 4
    assert train_config("experiment=full", "trainer=ddp").trainer.strategy == "ddp"


def test_errors_in_one_line(refused, tmp_path):
    refused(["train.py", "style=mona_lisa"], "mona_lisa", "kandinsky")
    refused(["train.py", "data=coco", f"data.root={tmp_path}"], "is not COCO 2017", "download")
    refused(["train.py", "style.image=missing.jpg"], "missing.jpg")
    refused(["train.py", "loss.weights=imagenet"], "style.image=PATH")
    refused(["train.py", *SMALL, "logger.wandb=no"], "logger.wandb=no", "true or false")
    (tmp_path / "file").write_text("in the way")
    refused(["train.py", *SMALL, "runs=file"], "cannot write")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("style.image=a/...jpg", "rename it"),
        ("style.image=..jpg", "rename it"),
        ("style.image=https://example.org/...jpg?a=b", "rename it"),
        (f"style.image={'x' * 250}.jpg", "a shorter name"),
        ("loss.weights=my\xa0vgg.pth", "loss.weights=my_vgg.pth has other spaces"),
        ("loss.weights=a\u3000b/vgg.pth", "other spaces"),
        ("loss.weights=a${b}.pth", "or \\${"),
    ],
)
def test_names_that_no_network_can_have_are_refused(setting, words, tmp_path):
    name, _, text = setting.partition("=")
    config = train_config(f"runs={tmp_path / 'runs'}")
    OmegaConf.update(config, name, literal(text))
    with pytest.raises(UserError, match=words):
        train(config)
    assert not list(tmp_path.iterdir())


def test_odd_names_are_cleaned(tmp_path):
    painting = tmp_path / "my\xa0cup \u3000${a}.png"
    Image.open(COFFEE).resize((96, 64)).save(painting)
    config = train_config(*SMALL, f"runs={tmp_path / 'runs'}", "trainer.max_steps=4", "data.workers=0", "style.size=64")
    config.style.image = literal(str(painting))
    network = train(config)
    teacher = tmp_path / "a\xa0teacher ${b}.safetensors"
    network.replace(teacher)
    config.teacher = literal(str(teacher))
    path = train(config)
    metadata = load_network(path)[1]
    assert (path.stem, metadata.name, metadata.teacher) == (*["my_cup __{a}"] * 2, "a_teacher _{b}")
    assert (tmp_path / "runs") in path.parents and len(list(tmp_path.iterdir())) == 3
