import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from allaprima.commands.train import train
from allaprima.media.images import read_picture

from ..conftest import COFFEE, SMALL, train_config
from .conftest import validation_terms


def test_short_run(tmp_path):
    wider = (
        "network.width=16",
        "network.input_noise=0.02",
        "network.painting_noise=0.01",
        "optimizer.learning_rate=3e-3",
        "optimizer.decay_share=1",
        "loss.content_distance=null",
        "loss.content_weight=0.1",
    )
    path = train(train_config(*SMALL, *wider, f"runs={tmp_path}", "trainer.max_steps=60", "trainer.val_every=15"))
    folder = path.parents[1]
    assert path == folder / "models" / "kandinsky.safetensors" and folder.parent == tmp_path / "kandinsky"
    terms = validation_terms(folder)
    assert list(terms) == [15, 30, 45, 60]
    assert terms[60]["total"] < 0.95 * terms[15]["total"]
    sheets = sorted((folder / "samples").iterdir())
    assert [sheet.name for sheet in sheets] == [f"step_0000{step}.png" for step in terms]
    assert read_picture(folder / "samples" / "step_000060.png").image.shape == (3, 4 * 68 + 4, 2 * 68 + 4)
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
    assert metadata["paintings"][0]["artist"] == "Wassily Kandinsky"
    assert metadata["loss_network"].startswith("caffe-vgg19-c34748d2")
    assert metadata["loss"]["content_weight"] == 0.1 and metadata["content_weights"] == {"kandinsky": [0.1]}
    assert metadata["steps"] == 60 and metadata["images_seen"] == 60 * 2
    assert metadata["seconds"] > 0
    assert metadata["validation"] == pytest.approx(terms[60], abs=1e-4)


@pytest.mark.parametrize("loss", ["johnson", "gatys"])
def test_other_objectives(tmp_path, loss, capsys):
    mine = (f"style.image={COFFEE}", "style.size=64")
    steps = ("trainer.max_steps=4", "data.workers=0", "trainer.precision=32-true")
    path = train(train_config(*SMALL, f"runs={tmp_path}", f"loss={loss}", *mine, *steps))
    assert path.name == "coffee.safetensors"
    assert "computing in 32-true" in capsys.readouterr().out
