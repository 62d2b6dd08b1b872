"""The processor that seconds are measured on."""

import platform
import re
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")


def processor_name() -> str:
    """Its name as Linux tells it, elsewhere its architecture."""
    information = CPUINFO.read_text() if CPUINFO.exists() else ""
    model = re.search(r"^model name\s*:\s*(.+)$", information, re.MULTILINE)
    return model[1] if model else platform.machine()
