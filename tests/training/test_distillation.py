import dataclasses

import pytest
import torch

from allaprima.commands.train import train
from allaprima.errors import UserError
from allaprima.networks.blocks import InputNoise
from allaprima.networks.files import load_network, write_network

from ..conftest import SMALL, train_config


def test_teacher_sees_the_same_noise(tmp_path, monkeypatch):
    seen = []
    noisy = InputNoise.forward

    def watched(self, photos, training, corner):
        seen.append(noisy(self, photos, training, corner))
        return seen[-1]

    monkeypatch.setattr(InputNoise, "forward", watched)
    small = (*SMALL, f"runs={tmp_path}", "trainer.max_steps=1", "data.workers=0", "teacher=kandinsky")
    path = train(train_config(*small, "terms.distillation=1", "loss.content_distance=0.01"))
    mine, teachers = seen[:2]
    assert mine.shape[0] == 2 and torch.equal(mine, teachers)
    weights = [load_network(name)[1].content_weights["kandinsky"] for name in (path, "kandinsky")]
    assert weights[0] == weights[1]


def test_teacher_with_another_style_name(tmp_path):
    network, metadata = load_network("kandinsky")
    painting = dataclasses.replace(metadata.paintings[0], name="composition")
    renamed = dataclasses.replace(metadata, paintings=[painting], content_weights={"composition": [0.7]})
    write_network(tmp_path / "composition.safetensors", network, renamed)
    taught = ("trainer.max_steps=1", "data.workers=0", f"teacher={tmp_path / 'composition.safetensors'}")
    path = train(train_config(*SMALL, f"runs={tmp_path}", *taught, "terms.distillation=1"))
    assert load_network(path)[1].content_weights == {"kandinsky": [0.7]}


@torch.inference_mode()
def test_distillation(tmp_path, held_out):
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
            path = train(train_config(*small, *settings, "optimizer.learning_rate=5e-3"))
        network, metadata = load_network(path)
        distances.append((network(held_out) - taught).square().mean())
    assert distances[1] < 0.5 * distances[0]
    assert metadata.teacher == "kandinsky"
    with pytest.raises(UserError, match=r"paints Composition VII .*: give a network of Udnie"):
        train(train_config(*small, "style=udnie"))
