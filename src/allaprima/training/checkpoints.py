"""Checkpoints that are written whole or not at all."""

import io
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from allaprima.media.files import write_atomically


class WholeCheckpoints(TorchCheckpointIO):
    """Lightning's own pass through the system's folder for temporary files, which need not be on the same disk."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str, storage_options: Any = None) -> None:
        """Write a checkpoint. Raises FileError where that is not possible."""
        write_state(Path(path), checkpoint)


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write what PyTorch can save, whole or not at all. Raises FileError where that is not possible."""
    content = io.BytesIO()
    torch.save(state, content)
    write_atomically(path, content.getvalue())
