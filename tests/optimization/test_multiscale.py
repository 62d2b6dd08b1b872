import torch

from allaprima.optimization.image import Iteration


def test_scales_are_chained(optimize_photo, monkeypatch):
    begun = []

    def painted_red(loss, photo, start, *_):
        begun.append(start)
        picture = torch.tensor([0.9, 0.1, 0.1]).view(1, 3, 1, 1).expand_as(photo)
        return Iteration(1, 1, 0.0, None, picture)

    monkeypatch.setattr("allaprima.optimization.multiscale.optimize", painted_red)
    optimize_photo("scales=[32,48]")
    coarse, fine = begun
    assert coarse.shape[-2:] == (32, 48) and fine.shape[-2:] == (48, 72)
    red, green, blue = fine.mean((0, 2, 3))
    assert red > 2 * green and red > 2 * blue
