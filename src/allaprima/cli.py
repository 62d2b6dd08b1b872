"""How every command begins and ends: settings from `configs/`, a user's mistake in one line with exit status 2.

`allaprima train style=kandinsky` and `python scripts/train.py style=kandinsky` are the same.
"""

import contextlib
import difflib
import importlib
import io
import os
import re
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TextIO
from unittest import mock

import hydra
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from allaprima.errors import UserError

# Beside the package once installed, at the top of a checkout before.
PLACES = (Path(__file__).parent, Path(__file__).parents[2])
CONFIGS = next(place / "configs" for place in PLACES if (place / "configs").is_dir())


RENAMED = {
    "network.grain": "network.input_noise",
    "network.painting_grain": "network.painting_noise",
    "optimizer.average_decay": "optimizer.ema_decay",
}
NO_WORDS = ("null", "true", "false", "nan", "inf")  # as Hydra reads values


class Command(NamedTuple):
    """What a command does, in a line, and the function that does it, imported late: help need not wait for PyTorch."""

    help: str
    module: str
    function: str


COMMANDS = {
    "infer": Command("paint pictures and videos with a trained network", "allaprima.commands.infer", "paint_files"),
    "train": Command("train one network for one painting", "allaprima.commands.train", "train"),
    "optimize": Command(
        "paint one picture the slow way, with no network", "allaprima.commands.optimize", "optimize_file"
    ),
    "compare": Command("compare a network with the slow way", "allaprima.commands.compare", "compare"),
    "export": Command(
        "write a network for other programs, or a page that paints", "allaprima.commands.export", "export"
    ),
    "serve": Command("paint and train on a page in the browser", "allaprima.commands.serve", "serve"),
    "read_style": Command("write a painting's style file", "allaprima.commands.read_style", "write_style"),
    "download": Command("download COCO 2017, or go on with it", "allaprima.commands.download", "download_coco"),
    "benchmark": Command("measure what the documents claim", "allaprima.benchmarks", "benchmark"),
}


@contextlib.contextmanager
def mistakes_in_one_line(command: str) -> Iterator[None]:
    """Print a user's mistake as one line and exit with status 2; a programming error keeps its traceback."""
    try:
        yield
    except OverrideParseException as error:
        if "=" not in error.override:
            fail(f"'{error.override}' is no setting: write NAME=VALUE, as in input=photo.jpg")
        fail(f"{error}; a value with more than plain letters and digits needs quotes within quotes: 'name=\"value\"'")
    except (UserError, HydraException, OmegaConfBaseException) as error:
        fail(explain(error, command))
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


def nearest_setting(name: str, command: str) -> str | None:
    """The setting of a command whose name is most like `name`; None if none is."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        try:
            settings = names_in(OmegaConf.to_container(compose(command)))
        except HydraException:  # of a command that needs a choice to be made
            return None
    return next(iter(difflib.get_close_matches(name, settings, n=1)), None)


def names_in(settings: dict[str, Any], prefix: str = "") -> list[str]:
    """The names of all settings, dotted where they are in a group."""
    names = []
    for key, value in settings.items():
        names.append(f"{prefix}{key}")
        if isinstance(value, dict):
            names += names_in(value, f"{prefix}{key}.")
    return names


def check_choices(command: str, arguments: Sequence[str]) -> None:
    """Refuse null, a number or nothing where one of the files in a folder of `configs/` is to be chosen.

    Hydra has a traceback for that.
    """
    for name, _, value in (argument.partition("=") for argument in arguments):
        word = value.lower() not in NO_WORDS and re.fullmatch(r"[A-Za-z_].*", value)
        if word or not re.fullmatch(r"\w+", name) or not (CONFIGS / name).is_dir():
            continue
        if name not in choices(command):
            fail(f"there is no setting '{name}', as `{command} --help` shows")
        files = sorted(path.stem for path in (CONFIGS / name).glob("*.yaml"))
        fail(f"{name}={value}: take one of {', '.join(files)}")


def choices(command: str) -> set[str]:
    """The names of the folders of `configs/` in which a command's settings choose a file."""
    found = set()
    for item in OmegaConf.load(CONFIGS / f"{command}.yaml").get("defaults", []):
        if OmegaConf.is_dict(item):
            found |= {str(name).removeprefix("override /") for name in item}
        elif item not in ("_self_", "quiet"):  # another command's settings
            found |= choices(item)
    return found


def explain(error: Exception, command: str) -> str:
    """What Hydra says of a mistake, but for one that it has bad advice for: a setting that does not exist."""
    unknown = re.match(r"Could not override '([^']+)'", str(error))
    if not unknown:
        return str(error).partition("Config search path")[0]
    if unknown[1] in RENAMED:
        return f"{unknown[1]} is {RENAMED[unknown[1]]} now"
    nearest = nearest_setting(unknown[1], command)
    meant = f": did you mean {nearest}?" if nearest else f", as `{command} --help` shows"
    return f"there is no setting '{unknown[1]}'{meant}"


class PipeSafeStream:
    """A stream that goes on into nothing when its reader has gone away, as `head -1` does after a line."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Write, and let the reader see it at once."""
        try:
            self.stream.write(text)
            self.stream.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())
        return len(text)


def run(command: str) -> None:
    """Run a command with the settings of `configs/COMMAND.yaml` and of the command line."""

    @hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name=command)
    def work(config: DictConfig) -> None:
        with mistakes_in_one_line(command):  # before Hydra sees them and adds lines of its own
            getattr(importlib.import_module(COMMANDS[command].module), COMMANDS[command].function)(config)

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file's name need not be text
    for argument in sys.argv[1:]:
        if argument.startswith(("+", "~")):
            fail(f"'{argument}': no command knows other settings than those in configs/, and each needs all of its own")
    if command == "benchmark" and len(sys.argv) > 1 and re.fullmatch(r"\w+", sys.argv[1]):
        sys.argv[1] = f"benchmark={sys.argv[1]}"  # the benchmark's name stands alone, as a subcommand does
    # A name with ${ in it is a name: nobody types references from one setting to another.
    sys.argv[1:] = [re.sub(r"(?<!\\)\$\{", r"\\${", argument) for argument in sys.argv[1:]]
    check_choices(command, sys.argv[1:])
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let errors in the settings come here instead of being printed by Hydra
    with (
        mistakes_in_one_line(command),
        mock.patch.object(ArgumentParser, "error", refuse_option),
        contextlib.redirect_stdout(PipeSafeStream(sys.stdout)),
    ):
        work()


def main() -> None:
    """The command `allaprima`: the name of one of `COMMANDS`, then its settings."""
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print("allaprima COMMAND NAME=VALUE ...\n")
        print("\n".join(f"  {name:12}{command.help}" for name, command in COMMANDS.items()))
        print("\nallaprima COMMAND --help lists the command's settings")
        return
    # Lightning starts a process for each further device by these arguments once more, without the name.
    again = os.environ.get("LOCAL_RANK", "0") != "0" and os.environ.get("ALLAPRIMA_COMMAND")
    name = os.environ["ALLAPRIMA_COMMAND"] = again or sys.argv.pop(1)
    if name not in COMMANDS:
        fail(f"there is no command '{name}': take one of {', '.join(COMMANDS)}")
    run(name)
