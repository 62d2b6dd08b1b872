"""The page, served until Ctrl-C or SIGTERM, as `configs/serve.yaml` says."""

import os
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import Annotated

from omegaconf import DictConfig
from PIL import Image
from pydantic import Field

from allaprima.commands.settings import Settings
from allaprima.errors import UserError
from allaprima.hardware import keep_freed_memory
from allaprima.inference.engines import not_installed
from allaprima.limits import PositiveInt, Text, at_most
from allaprima.media.images import READ_FORMATS

VAL_EVERY = 20  # steps of a visitor's training between sheets
VALIDATION_PHOTOS = 4  # of which each is a row
# A process that ends with the page, however that ends.
TRAIN = """
from allaprima.cli import main
from allaprima.serving.watched_training import end_with_watcher
end_with_watcher()
main()
"""


class ServeSettings(Settings):
    """`configs/serve.yaml`."""

    host: Text
    port: Annotated[int, Field(ge=1, le=65535)]
    megabytes: Annotated[PositiveInt, at_most(500, "no photograph is larger")]
    megapixels: Annotated[PositiveInt, at_most(178, "Pillow reads no more")]
    train: bool


def serve(config: DictConfig) -> None:
    """Serve the page. Raises UserError for a port that is taken or a package that is missing."""
    settings = ServeSettings.read(config)
    if missing := not_installed(["gradio"]):
        raise UserError(f"serve needs {missing[0]}: pip install 'allaprima[serve]'")
    check_address(settings.host, settings.port)
    keep_freed_memory()
    # Gradio looks at what is uploaded before anything of ours does, and Pillow would run PostScript.
    Image.init()
    Image.ID[:] = [name for name in Image.ID if name in READ_FORMATS]
    Image.MAX_IMAGE_PIXELS = settings.megapixels * 1_000_000 // 2  # Pillow refuses what has more than twice as many
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="allaprima-") as folder:
        tempfile.tempdir = folder  # for what is trained
        # Read by Gradio when it is imported: where uploads and results are, and that nobody is told of them.
        os.environ |= {"GRADIO_TEMP_DIR": folder, "GRADIO_ANALYTICS_ENABLED": "False"}
        from allaprima.serving.page import launch

        print(f"open http://{settings.host}:{settings.port}; Ctrl-C ends it")
        launch(settings.host, settings.port, settings.megabytes, train_command if settings.train else None)


def check_address(host: str, port: int) -> None:
    """Raises UserError where no page can be served, and says whether for its host or for its port."""
    try:
        with socket.socket() as probe:
            probe.bind((host, 0))
    except (OSError, TypeError, UnicodeError) as error:  # of a name that no machine can have
        raise UserError(f"host={host} is no address of this machine: give 127.0.0.1, or 0.0.0.0 for all") from error
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise UserError(f"port={port} cannot be served: {error.strerror}; give another port=") from error


def train_command(painting: Path, steps: int, folder: Path) -> list[str]:
    """The command that trains a network for a painting with the default settings, below a folder."""
    program = [sys.executable, "-c", TRAIN, "train"]
    # A visitor waits for the first sheet, and has no use for more rows.
    sheets = f"trainer.val_every={VAL_EVERY}", f"data.validation_photos={VALIDATION_PHOTOS}"
    return [*program, f"style.image={painting}", f"runs={folder}", f"trainer.max_steps={steps}", *sheets]
