import torch

from allaprima.inference.folding import Folding


def test_compiles_as_little_as_it_can():
    compiled = []

    def compile_for(code):
        compiled.append(code)
        return (lambda photos: photos * code) if code is not None else (lambda photos, given: photos * given)

    paint = Folding(compile_for)
    photos, one, two, three = torch.ones(1, 3, 4, 4), *torch.tensor([[1.0], [2.0], [3.0]])
    assert (paint(photos, one) == 1).all() and (paint(photos, one.clone()) == 1).all()
    assert compiled == [one]
    assert (paint(photos, two) == 2).all() and (paint(photos, three) == 3).all() and (paint(photos, one) == 1).all()
    assert compiled == [one, None]
