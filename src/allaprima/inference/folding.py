"""A code folded into a compiled network, as long as it stays the same: faster than a code that is an input."""

import threading
from collections.abc import Callable

import torch
from torch import Tensor

# (B, 3, H, W) float32 in [0, 1], and a code, (K,), if none is folded in, to the same shape and range.
Paint = Callable[..., Tensor]


class Folding:
    """Paints by a network that is compiled for the first code that comes, and for any once another one comes.

    What is painted file by file has one code and never waits for the second network; a slider does, once.

    Args:
        compiled: for a code, (K,), what paints (B, 3, H, W) with it; for None, what takes the code as a second input.
    """

    def __init__(self, compiled: Callable[[Tensor | None], Paint]) -> None:
        self.compiled = compiled
        self.code: Tensor | None = None
        self.paint_code: Paint | None = None
        self.paint_any: Paint | None = None
        self.lock = threading.Lock()  # two threads compile nothing twice

    def __call__(self, photos: Tensor, code: Tensor) -> Tensor:
        """(B, 3, H, W) and (K,) to the first shape."""
        with self.lock:
            if self.code is None:
                self.code = code
                self.paint_code = self.compiled(code)
            same = torch.equal(code, self.code)
            if not same and self.paint_any is None:
                self.paint_any = self.compiled(None)
        return self.paint_code(photos) if same else self.paint_any(photos, code)
