"""The machine: its fastest number type, its memory, its processor's name."""

import ctypes
import platform
import re
from pathlib import Path

import torch

M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
NEVER = 2**31 - 1
CPUINFO = Path("/proc/cpuinfo")


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
    information = CPUINFO.read_text() if CPUINFO.exists() else ""
    model = re.search(r"^model name\s*:\s*(.+)$", information, re.MULTILINE)
    return model[1] if model else platform.machine()
