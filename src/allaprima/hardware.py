"""The machine: its fastest dtype, its memory, its processor's name."""

import ctypes
import platform
import re
from pathlib import Path

import torch

from allaprima.errors import UserError

M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
NEVER = 2**31 - 1


def fastest_precision(accelerator: str) -> str:
    """Lightning's name for bfloat16 with float32 weights where that is native, else for float32.

    The accelerator is `cpu` or `gpu`, as Lightning calls it, or a device of PyTorch's, `cpu`, `cuda` or `mps`.
    """
    if accelerator == "mps":
        native = False
    elif accelerator in ("gpu", "cuda"):
        native = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = torch.cpu._is_avx512_bf16_supported()
    return "bf16-mixed" if native else "32-true"


def chosen_device(name: str) -> str:
    """PyTorch's name of a device; `auto` is a GPU where there is one. Raises UserError if there is no such device."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(device for device, found in available.items() if found)
    if name not in available:
        raise UserError(f"device={name}: take one of auto, {', '.join(available)}")
    if not available[name]:
        raise UserError(f"device={name}: there is none that PyTorch can use; give device=auto")
    return name


def keep_freed_memory() -> None:
    """Tell the GNU C library not to return large blocks to the system; elsewhere do nothing.

    Otherwise each feature map is fresh memory, and clearing its pages costs more than many of the layers.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    # Libraries before 2.35 refuse so high a threshold, and the second setting alone would do harm.
    if mallopt(M_MMAP_THRESHOLD, NEVER):
        mallopt(M_TRIM_THRESHOLD, NEVER)


def processor_name() -> str:
    """Its name as Linux tells it, elsewhere its architecture."""
    file = Path("/proc/cpuinfo")
    information = file.read_text() if file.exists() else ""
    model = re.search(r"^model name\s*:\s*(.+)$", information, re.MULTILINE)
    return model[1] if model else platform.machine()
