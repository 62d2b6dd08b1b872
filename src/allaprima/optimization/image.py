"""The slow way: move a picture's own pixels towards the objective (Gatys, Ecker, Bethge 2015).

The reference that every trained network is measured against: the same objective, no network.
"""

import math
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import Bounds, minimize
from threadpoolctl import threadpool_limits
from torch import Tensor

from allaprima.errors import UserError
from allaprima.losses.perceptual import LossTerms, PerceptualLoss

ADAM_LEARNING_RATE = 0.02


class Iteration(NamedTuple):
    """Where the optimizer stands."""

    number: int  # iterations done; 0 is the start
    evaluations: int  # of the objective and its gradient so far, a line search's included
    seconds: float  # since the first evaluation began
    terms: LossTerms  # the objective and its terms here, as numbers
    picture: Tensor  # (1, 3, H, W) in [0, 1]


OnIteration = Callable[[Iteration], object]


class Evaluation:
    """The objective of a pastiche of one photograph, (1, 3, H, W) in [0, 1], and its gradient, counted and timed."""

    def __init__(self, loss: PerceptualLoss, photo: Tensor) -> None:
        self.loss = loss
        self.content = loss.content_features(photo)
        self.count = 0

    def __call__(self, picture: Tensor) -> tuple[LossTerms, Tensor]:
        """The terms as numbers, and the gradient of the objective, (1, 3, H, W). Raises UserError if not finite."""
        if self.count == 0:
            self.started = time.perf_counter()
        leaf = picture.detach().requires_grad_()
        terms = self.loss(leaf, self.content)
        (gradient,) = torch.autograd.grad(terms.total, leaf)
        self.count += 1
        numbers = terms.numbers()
        if not math.isfinite(numbers.total):
            raise UserError("the objective is NaN or infinite: lower the weights in the group loss and start again")
        return numbers, gradient

    def iteration(self, number: int, terms: LossTerms, picture: Tensor) -> Iteration:
        """An iteration that ends now."""
        return Iteration(number, self.count, time.perf_counter() - self.started, terms, picture.clone())


def optimize(
    loss: PerceptualLoss, photo: Tensor, start: Tensor, iterations: int, method: str, on_iteration: OnIteration
) -> Iteration:
    """Lower the objective of a picture, its values kept in [0, 1] throughout; the last iteration.

    Args:
        loss: the objective.
        photo: the content, (1, 3, H, W) in [0, 1].
        start: the picture to begin with, of the same shape and range.
        iterations: how many at most; L-BFGS also ends where no step along its direction lowers the objective.
        method: a name in `METHODS`.
        on_iteration: called with the start and after every iteration.
    """
    return METHODS[method](Evaluation(loss, photo), start, iterations, on_iteration)


def lbfgs(evaluate: Evaluation, start: Tensor, iterations: int, on_iteration: OnIteration) -> Iteration:
    """L-BFGS (Liu and Nocedal 1989), pixels bounded to [0, 1] (Byrd, Lu, Nocedal, Zhu 1995)."""
    latest: LossTerms | None = None
    reached: list[Iteration] = []

    def as_picture(pixels: np.ndarray) -> Tensor:
        return torch.from_numpy(pixels).float().view(start.shape)

    def objective(pixels: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal latest
        latest, gradient = evaluate(as_picture(pixels))
        if not reached:
            note(pixels)
        return latest.total, gradient.double().contiguous().numpy().ravel()

    def note(pixels: np.ndarray) -> None:
        number = reached[-1].number + 1 if reached else 0
        reached[:] = [evaluate.iteration(number, latest, as_picture(pixels))]
        on_iteration(reached[0])

    # Threads of scipy's vector operations and of PyTorch's would wait for each other's processors: a third of the time.
    with threadpool_limits(1, user_api="blas"):
        minimize(
            objective,
            start.double().numpy().ravel(),
            jac=True,
            method="L-BFGS-B",
            bounds=Bounds(0, 1),
            callback=note,
            options={"maxiter": iterations, "maxfun": math.inf, "ftol": 0, "gtol": 0},
        )
    return reached[0]


def adam(evaluate: Evaluation, start: Tensor, iterations: int, on_iteration: OnIteration) -> Iteration:
    """Adam, pixel values clipped after every step."""
    picture = start.clone(memory_format=torch.contiguous_format)
    optimizer = torch.optim.Adam([picture], ADAM_LEARNING_RATE)
    for number in range(iterations + 1):
        terms, picture.grad = evaluate(picture)
        reached = evaluate.iteration(number, terms, picture)
        on_iteration(reached)
        if number < iterations:
            optimizer.step()
            picture.clamp_(0, 1)
    return reached


METHODS: dict[str, Callable[[Evaluation, Tensor, int, OnIteration], Iteration]] = {"lbfgs": lbfgs, "adam": adam}
