import pytest
import torch
from safetensors.torch import load_file

from allaprima.commands.train import train

from ..conftest import SMALL, train_config

WEIGHTS = ("loss.content_weight", "loss.style_weight", "loss.tv_weight")
TERMS = (*WEIGHTS, "terms.grid", "terms.stability", "terms.distillation")


@pytest.mark.parametrize("term", TERMS)
def test_every_term_is_trained(tmp_path, term):
    small = (*SMALL, f"runs={tmp_path}", "trainer.max_steps=2", "data.workers=0", "loss.content_distance=null")
    small += ("teacher=kandinsky",) if term == "terms.distillation" else ()
    light, heavy = (load_file(train(train_config(*small, f"{term}={weight}"))) for weight in (0.01, 100))
    assert any(not torch.equal(light[name], value) for name, value in heavy.items())
