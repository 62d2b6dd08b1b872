"""Which number type is fastest on this machine without harm."""

import torch


def fastest_precision(accelerator: str) -> str:
    """Lightning's name for bfloat16 with float32 weights where the hardware computes in bfloat16, else for float32.

    Args:
        accelerator: `cpu` or `gpu`.
    """
    if accelerator == "gpu":
        native = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = torch.cpu._is_avx512_bf16_supported()
    return "bf16-mixed" if native else "32-true"
