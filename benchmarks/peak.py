"""The processor's peak, as a large matrix product reaches it: what seconds and multiply-adds are held against."""

import time

import numpy as np
import torch

from allaprima.hardware import fastest_precision

MATRIX = 4096  # rows and columns
PRODUCTS = 5


def matrix_peaks(_: object) -> dict[str, float]:
    """GFLOP a second that a large matrix product reaches, by dtype; bfloat16 where the processor has it."""
    reached = {}
    types = {"f32": torch.float32}
    if torch.cpu._is_vnni_supported():  # without, PyTorch takes minutes for such a product
        types["int8"] = torch.int8
    if fastest_precision("cpu") == "bf16-mixed":
        types["bf16"] = torch.bfloat16
    for name, dtype in types.items():
        x = (100 * torch.rand(MATRIX, MATRIX)).to(dtype)
        product = torch._int_mm if dtype == torch.int8 else torch.mm  # PyTorch multiplies int8 by no public name
        moments = [time.perf_counter()]
        for _ in range(PRODUCTS):
            product(x, x)
            moments.append(time.perf_counter())
        reached[name] = 2e-9 * MATRIX**3 / np.diff(moments).min()
    return reached
