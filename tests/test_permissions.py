import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from allaprima.errors import UserError
from allaprima.media.images import read_picture
from allaprima.media.inputs import find_photos
from allaprima.networks.files import load_network
from allaprima.training.runs import find_checkpoint

from .conftest import COFFEE, TOP


@contextmanager
def unprivileged():
    """Be a user who may not read everything, as the superuser may."""
    superuser = not os.geteuid()
    if superuser:
        os.seteuid(65534)
    try:
        yield
    finally:
        if superuser:
            os.seteuid(0)


def test_unreadable_files_are_refused():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        network, checkpoint, locked = (folder / part for part in ("a.safetensors", "last.ckpt", "open/locked"))
        locked.parent.mkdir()
        shutil.copy(COFFEE, locked.parent)
        shutil.copy(TOP / "models/kandinsky.safetensors", network)
        shutil.copy(COFFEE, checkpoint)
        locked.mkdir()
        folder.chmod(0o755)
        for path in (network, checkpoint, locked):
            path.chmod(0)
        for read in (
            lambda: load_network(network),
            lambda: find_photos(locked),
            lambda: find_photos(locked.parent),
            lambda: read_picture(checkpoint),
            lambda: find_checkpoint(str(checkpoint), folder, {}, {}),
        ):
            with unprivileged(), pytest.raises(UserError, match="no permission"):
                read()
        locked.chmod(0o755)
