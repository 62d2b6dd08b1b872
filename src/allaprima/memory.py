"""Keep freed memory for reuse: training frees and asks again for the same hundreds of megabytes at every step."""

import ctypes

M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
NEVER = 2**31 - 1


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
