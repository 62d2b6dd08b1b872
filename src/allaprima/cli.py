"""How every command begins and ends: settings from `configs/`, a user's mistake in one line with exit status 2."""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn
from unittest import mock

import hydra
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from allaprima.errors import UserError

CONFIGS = Path(__file__).parents[2] / "configs"


@contextmanager
def mistakes_in_one_line() -> Iterator[None]:
    """Print a user's mistake as one line and exit with status 2; a programming error keeps its traceback."""
    try:
        yield
    except OverrideParseException as error:
        if "=" not in error.override:
            fail(f"'{error.override}' is no setting: write NAME=VALUE, as in input=photo.jpg")
        fail(f"{error}; a value with more than plain letters and digits needs quotes within quotes: 'name=\"value\"'")
    except (UserError, HydraException, OmegaConfBaseException) as error:
        fail(str(error))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))


def fail(message: str) -> NoReturn:
    """Print a message as one line and exit with status 2."""
    if "Original Traceback" in message:  # an error of a process that reads photographs, as PyTorch passes it on
        message = message.strip().splitlines()[-1].partition(": ")[2]
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)


def refuse_option(_: ArgumentParser, message: str) -> NoReturn:
    """What Hydra's parser of options does with one that it does not know, in the place of printing its usage."""
    fail(f"{message}; settings are written NAME=VALUE, as in input=photo.jpg")


def run(config_name: str, work: Callable[[DictConfig], object]) -> None:
    """Call `work` with the settings of `configs/CONFIG_NAME.yaml` and of the command line."""

    @hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name=config_name)
    def main(config: DictConfig) -> None:
        with mistakes_in_one_line():  # before Hydra sees them and adds lines of its own
            work(config)

    for argument in sys.argv[1:]:
        if argument.startswith(("+", "~")):
            fail(f"'{argument}': no command knows other settings than those in configs/, and each needs all of its own")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let errors in the settings come here instead of being printed by Hydra
    with mistakes_in_one_line(), mock.patch.object(ArgumentParser, "error", refuse_option):
        main()
