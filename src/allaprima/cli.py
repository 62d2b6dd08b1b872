"""How every command begins and ends: settings from `configs/`, a user's mistake in one line with exit status 2.

`python scripts/train.py style=kandinsky` and `allaprima train style=kandinsky` are the same.
"""

import argparse
import contextlib
import difflib
import io
import itertools
import os
import pkgutil
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn, TextIO

import hydra
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from allaprima.errors import UserError
from allaprima.media.bundled import TOP, bundled_names

CONFIGS = TOP / "configs"
RENAMED = {  # names of today by those of before
    "network.grain": "network.input_noise",
    "network.painting_grain": "network.painting_noise",
    "optimizer.average_decay": "optimizer.ema_decay",
    "teacher_weight": "terms.distillation",
    "grid_weight": "terms.grid",
    "stability_weight": "terms.stability",
}
COMMANDS = {  # what each does, and its function, imported late: help need not wait for PyTorch
    "infer": ("paint pictures and videos with a trained network", "allaprima.commands.infer:paint_files"),
    "train": ("train one network for one painting", "allaprima.commands.train:train"),
    "optimize": ("paint one picture with the optimizer, no network", "allaprima.commands.optimize:optimize_file"),
    "compare": ("compare a network with the optimizer", "allaprima.commands.compare:compare"),
    "export": ("write a network for other programs, or a page that paints", "allaprima.commands.export:export"),
    "serve": ("paint and train on a page in the browser", "allaprima.commands.serve:serve"),
    "read_style": ("write a painting's style file", "allaprima.commands.read_style:write_style"),
    "download": ("download COCO 2017, or go on with it", "allaprima.commands.download:download_coco"),
}


def fail(message: str) -> NoReturn:
    """Print a message as one line and exit with status 2."""
    if "Original Traceback" in message:  # an error of a process that reads photographs, as PyTorch passes it on
        message = message.strip().splitlines()[-1].partition(": ")[2]
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)


@contextlib.contextmanager
def mistakes_in_one_line() -> Iterator[None]:
    """Print a user's mistake as one line and exit with status 2; a programming error keeps its traceback."""
    try:
        yield
    except (UserError, argparse.ArgumentError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))


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


def run(name: str, arguments: Sequence[str] | None = None, function: str | None = None) -> None:
    """Run a function, of `COMMANDS` or another, with the settings of `configs/NAME.yaml` and of the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file's name need not be text
    parser = argparse.ArgumentParser(name, add_help=False, allow_abbrev=False, exit_on_error=False)
    for letter, option in (("-h", "--help"), ("-m", "--multirun"), ("-sc", "--shell-completion")):
        parser.add_argument(letter, option, action="store_true")
    parser.add_argument("-c", "--cfg", nargs="?", const="job", choices=["job"])
    register_styles()
    with mistakes_in_one_line(), contextlib.redirect_stdout(PipeSafeStream(sys.stdout)):
        options, settings = parser.parse_known_args(sys.argv[1:] if arguments is None else arguments)
        if options.shell_completion:
            hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name=name)(lambda config: None)()
            return
        with initialize_config_dir(str(CONFIGS), version_base="1.3"):
            if options.help:
                print(help_text(name))
                return
            configs = [composed(name, overrides) for overrides in all_overrides(settings, options.multirun)]
        for config in configs:
            if options.cfg:
                print(OmegaConf.to_yaml(config))
            else:
                pkgutil.resolve_name(function or COMMANDS[name][1])(config)


def register_styles() -> None:
    """Make the bundled paintings the choices of the group `style`, and `all` for all of them."""
    settings = OmegaConf.load(CONFIGS / "style.yaml")
    for name in (*bundled_names("models/styles"), "all"):
        ConfigStore.instance().store(name, OmegaConf.merge(settings, {"name": name}), group="style")


def all_overrides(settings: Sequence[str], multirun: bool) -> Iterator[tuple[str, ...]]:
    """The overrides of every run: of one, or with `multirun` of one for each combination of values given as A,B."""
    parser = OverridesParser.create(GlobalHydra.instance().config_loader())
    values = []
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or name.startswith(("+", "~", "-")):
            raise UserError(f"'{setting}' is no setting: write NAME=VALUE, as in input=photo.jpg, of those in configs/")
        # A name with ${ in it is a name: nobody types references from one setting to another.
        value = re.sub(r"(?<!\\)\$\{", r"\\${", value)
        try:
            override = parser.parse_override(f"{name}={value}")
            if override.is_sweep_override() and not multirun:
                raise HydraException("a text with commas")
            sweep = override.sweep_string_iterator() if override.is_sweep_override() else [value]
        except HydraException:  # what the grammar has no place for is a text as it stands
            sweep = [QuotedString(value, Quote.single).with_quotes()]
        values.append([f"{name}={each}" for each in sweep])
    return itertools.product(*values)


def composed(command: str, overrides: Sequence[str]) -> DictConfig:
    """A command's settings. Raises UserError with one line on the first override that is invalid."""
    groups = default_choices(command)
    chosen = []
    for name, _, value in (override.partition("=") for override in overrides):
        if name in groups:
            options = GlobalHydra.instance().config_loader().get_group_options(name)
            if value not in options:
                raise UserError(f"{name}={value}: take one of {', '.join(options)}")
            chosen.append(f"{name}={value}")
    try:
        known = [*groups, *setting_names(OmegaConf.to_container(compose(command, chosen)))]
        for name in (override.partition("=")[0] for override in overrides):
            if RENAMED.get(name) in known:
                raise UserError(f"{name}= is {RENAMED[name]}= now")
            if name not in known:
                nearest = difflib.get_close_matches(name, known, n=1)
                advice = f": did you mean {nearest[0]}?" if nearest else f", as `{command} --help` shows"
                raise UserError(f"there is no setting '{name}'{advice}")
        return compose(command, list(overrides))
    except UserError:
        raise
    except Exception as error:  # Hydra and OmegaConf raise many kinds for invalid values
        raise UserError(str(error).partition("Config search path")[0]) from error


def default_choices(command: str) -> dict[str, str | None]:
    """The groups in which a command's settings choose a file, each with its default."""
    found: dict[str, str | None] = {}
    for item in OmegaConf.load(CONFIGS / f"{command}.yaml").get("defaults", []):
        if OmegaConf.is_dict(item):
            found |= OmegaConf.to_container(item)
        elif item != "_self_":  # another command's settings
            found |= default_choices(item)
    return OmegaConf.to_container(OmegaConf.create(found), resolve=True)  # of which one may refer to another


def setting_names(settings: dict[str, Any], prefix: str = "") -> list[str]:
    """The names of all settings, dotted where they are in a group."""
    names = []
    for key, value in settings.items():
        names.append(f"{prefix}{key}")
        if isinstance(value, dict):
            names += setting_names(value, f"{prefix}{key}.")
    return names


def without_defaults(text: str) -> str:
    """A file of `configs/` without its list of defaults, which is Hydra's business."""
    return re.sub(r"^(defaults:\n(  - .*\n)+\n?|name: \?\?\?\n)", "", text, flags=re.MULTILINE)


def help_text(name: str) -> str:
    """What a command does, and its settings with their defaults, as `configs/` has them."""
    text = [f"{name} NAME=VALUE ...\n", without_defaults((CONFIGS / f"{name}.yaml").read_text())]
    for group, choice in default_choices(name).items():
        options = GlobalHydra.instance().config_loader().get_group_options(group)
        text.append(f"{group}: one of {', '.join(options)}" + (f"; {choice} has" if choice else ", or none"))
        for file in (CONFIGS / group / f"{choice}.yaml", CONFIGS / f"{group}.yaml"):
            if file.exists():
                text.append(re.sub(r"^(?=\w)", f"{group}.", without_defaults(file.read_text()), flags=re.MULTILINE))
    return "\n".join([*text, "--multirun runs every combination of values given as A,B; --cfg job prints the settings"])


def main() -> None:
    """The command `allaprima`: the name of one of `COMMANDS`, then its settings."""
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print("allaprima COMMAND NAME=VALUE ...\n")
        print("\n".join(f"  {name:12}{purpose}" for name, (purpose, _) in COMMANDS.items()))
        print("\nallaprima COMMAND --help lists the command's settings")
        return
    if sys.argv[1] not in COMMANDS:
        fail(f"there is no command '{sys.argv[1]}': take one of {', '.join(COMMANDS)}")
    run(sys.argv[1], sys.argv[2:])
