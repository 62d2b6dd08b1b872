"""How every command begins and ends: settings from `configs/`, a user's mistake in one line with exit status 2.

`python scripts/train.py style=kandinsky` and `allaprima train style=kandinsky` are the same.
"""

import sys

try:  # the imports take half a second, in which Ctrl-C is answered as it is later
    import argparse
    import contextlib
    import difflib
    import io
    import itertools
    import os
    import pkgutil
    import re
    import signal
    import warnings
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import Any, NoReturn, TextIO

    import hydra
    from hydra import compose, initialize_config_dir
    from hydra.core.config_store import ConfigStore
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import Override
    from hydra.errors import HydraException
    from omegaconf import DictConfig, OmegaConf
    from omegaconf.errors import ConfigKeyError, InterpolationToMissingValueError

    from allaprima.errors import UserError, choice_advice, visible
    from allaprima.help import help_text
    from allaprima.media.bundled import TOP, bundled_names
    from allaprima.media.download import on_the_web
    from allaprima.media.files import TEMPORARY
except KeyboardInterrupt:
    print("interrupted", file=sys.stderr)
    sys.exit(130)

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

FILES = {  # the setting that a file's name alone is for
    "infer": "input",
    "train": "style.image",
    "optimize": "content",
    "compare": "photos",
    "export": "model",
    "read_style": "image",
}


def fail(message: str) -> NoReturn:
    """Print a message as one line and exit with status 2."""
    if "Original Traceback" in message:  # an error of a process that reads photographs, as PyTorch passes it on
        message = message.strip().splitlines()[-1].partition(": ")[2]
    print(f"error: {visible(' '.join(message.split()))}", file=sys.stderr)
    sys.exit(2)


@contextlib.contextmanager
def mistakes_in_one_line() -> Iterator[None]:
    """Print a user's mistake as one line and exit with status 2; a programming error keeps its traceback."""
    try:
        yield
    except (UserError, argparse.ArgumentError) as error:
        fail(str(error))
    except KeyboardInterrupt as interrupt:
        print(": ".join(["interrupted", *map(str, interrupt.args)]), file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        reason = error.strerror or str(error)
        fail(f"{visible_place(str(error.filename))}: {reason}" if error.filename else reason)


def visible_place(path: str) -> str:
    """A path that a user knows: the folder of a temporary file, for one."""
    return str(Path(path).parent) if Path(path).name.startswith(TEMPORARY) else path


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


@contextlib.contextmanager
def safe_streams() -> Iterator[None]:
    """Streams that take any text and outlive their readers; in the place of those that were closed (`>&-`), nothing."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115, PTH123 (open until the process ends)
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file's name need not be text
    safe = PipeSafeStream(sys.stdout), PipeSafeStream(sys.stderr)
    with contextlib.redirect_stdout(safe[0]), contextlib.redirect_stderr(safe[1]):
        yield


def run(name: str, arguments: Sequence[str] | None = None, function: str | None = None) -> None:
    """Run a function, of `COMMANDS` or another, with the settings of `configs/NAME.yaml` and of the command line."""
    parser = argparse.ArgumentParser(name, add_help=False, allow_abbrev=False, exit_on_error=False)
    for letter, option in (("-h", "--help"), ("-m", "--multirun"), ("-sc", "--shell-completion")):
        parser.add_argument(letter, option, action="store_true")
    parser.add_argument("-c", "--cfg", nargs="?", const="job", choices=["job"])
    quiet_libraries()
    with safe_streams(), mistakes_in_one_line():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does, which keeps what is painted
        register_styles()
        options, typed = parser.parse_known_args(sys.argv[1:] if arguments is None else arguments)
        if options.shell_completion:
            hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name=name)(lambda config: None)()
            return
        with initialize_config_dir(str(CONFIGS), version_base="1.3"):
            if options.help:
                groups = default_choices(name)
                print(help_text(usage(name), CONFIGS, name, groups, {group: choices(group) for group in groups}))
                return
            files, settings = separated(name, typed)
            configs = [composed(name, each, files) for each in all_typed(name, settings, options.multirun)]
        for config in configs:
            if options.cfg:
                print(OmegaConf.to_yaml(config))
            else:
                pkgutil.resolve_name(function or COMMANDS[name][1])(config)


def usage(command: str) -> str:
    """How a command is called, and what for."""
    file = f"FILE (the same as {FILES[command]}=FILE) " if command in FILES else ""
    return f"allaprima {command} {file}NAME=VALUE ...\n{COMMANDS[command][0]}" if command in COMMANDS else command


def quiet_libraries() -> None:
    """Keep libraries from talking between a command's lines, and from what a surrounding program told them."""
    if not sys.warnoptions:  # python -W and PYTHONWARNINGS still show what they say
        warnings.simplefilter("ignore")
    for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK"):
        if not os.environ.get(name, "0").isdecimal():  # which Lightning would take for a number
            del os.environ[name]
    os.environ["MPLBACKEND"] = "agg"  # figures are files; a notebook's backend need not be installed here


def register_styles() -> None:
    """Make the bundled paintings the choices of the group `style`, and `all` for all of them."""
    settings = OmegaConf.load(CONFIGS / "style.yaml")
    for name in (*bundled_names("models/styles"), "all"):
        ConfigStore.instance().store(name, OmegaConf.merge(settings, {"name": name}), group="style")


def separated(command: str, typed: Sequence[str]) -> tuple[list[str], list[str]]:
    """Of a command line, the files that are named alone, and the settings."""
    files: list[str] = []
    settings: list[str] = []
    for each in typed:
        (files if command in FILES and is_file_name(command, each) else settings).append(each)
    return files, settings


def is_file_name(command: str, typed: str) -> bool:
    """Whether an argument is a file's name; one with = in it is, where there is such a file and no such setting."""
    name, equals, _ = typed.partition("=")
    if not equals or on_the_web(name):
        return typed == "-" or typed[:1] not in ("-", "+", "~") or os.path.exists(typed)  # noqa: PTH110 (never an error)
    return os.path.exists(typed) and name not in setting_names(OmegaConf.to_container(composed(command, [])))  # noqa: PTH110 (never an error)


def all_typed(command: str, settings: Sequence[str], multirun: bool) -> Iterator[tuple[tuple[str, str], ...]]:
    """Names and texts of every run: of one, or with `multirun` of one for each combination of values given as A,B."""
    values = []
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or name.startswith(("+", "~", "-")):
            raise UserError(
                f"'{setting}' is no setting: write NAME=VALUE, as in input=photo.jpg; `{command} --help` lists all"
            )
        override = parsed(text) if multirun else None
        sweep = override.sweep_string_iterator() if override and override.is_sweep_override() else [text]
        values.append([(name, each) for each in sweep])
    return itertools.product(*values)


def parsed(text: str) -> Override | None:
    """A value as Hydra reads it; None where its grammar has no place for it."""
    try:
        return OverridesParser.create().parse_override(f"value={text}")
    except HydraException:
        return None


def meant(text: str) -> Any:
    """The value that a user has typed: a list, a number, true, false, null, a text in quotes, or the text as it stands.

    Names of files are typed as they are: of what can be in a text, only a ~ at its start has a meaning, as in a shell.
    """
    override = parsed(text)
    value = override.value() if override and not override.is_sweep_override() else text
    if text.startswith("[") and text.endswith("]"):
        return value if isinstance(value, list) else [meant(each.strip()) for each in text[1:-1].split(",")]
    is_number = isinstance(value, int | float) and re.fullmatch(r"[^_(]+", text)  # true and false are, too
    if value is None or is_number or isinstance(value, dict) or text[:1] in ("'", '"'):
        return value
    return os.path.expanduser(text)  # noqa: PTH111 (also of a web address, which no Path can hold)


def literal(value: Any) -> Any:
    """A value whose texts OmegaConf takes as they are, ${ in them included."""
    if isinstance(value, list):
        return [literal(each) for each in value]
    if isinstance(value, dict):
        return {key: literal(each) for key, each in value.items()}
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", value) if isinstance(value, str) else value


def composed(command: str, typed: Sequence[tuple[str, str]], files: Sequence[str] = ()) -> DictConfig:
    """A command's settings, by names and texts, and by the files that `FILES` has a setting for.

    Raises UserError with one line on the first that is invalid.
    """
    groups = default_choices(command)
    # Shares of several paintings are no choice of a file.
    typed = [("style.shares" if name == "style" and text.startswith("{") else name, text) for name, text in typed]
    chosen = []
    for name, text in typed:
        if name in groups:
            if text not in choices(name):
                raise UserError(f"{name}={text}: {choice_advice(text, choices(name))}")
            chosen.append(f"{name}={text}")
    try:
        config = compose(command, chosen)
        names = setting_names(OmegaConf.to_container(config))
        for name, text in typed:
            if name in groups:
                continue
            if name not in names:
                raise UserError(unknown_setting(name, names, command))
            value = meant(text)
            members = [each for each in names if each.startswith(f"{name}.")]
            if members and not isinstance(value, dict):
                raise UserError(f"{name}={text}: {name} is a group, so set what is in it, as {members[0]}=")
            OmegaConf.update(config, name, literal(value))
        if files:
            OmegaConf.update(config, FILES[command], literal(named_alone(command, files, typed)))
        with contextlib.suppress(InterpolationToMissingValueError):  # the command says what is missing
            OmegaConf.to_container(config, resolve=True)
        return config
    except UserError:
        raise
    except ConfigKeyError as error:  # in a group that was given as a whole
        raise UserError(unknown_setting(error.full_key, names, command)) from error
    except Exception as error:  # Hydra and OmegaConf raise many kinds for invalid values
        raise UserError(str(error).partition("Config search path")[0]) from error


def named_alone(command: str, files: Sequence[str], typed: Sequence[tuple[str, str]]) -> str | list[str]:
    """What files that are named alone mean to the command: a list to `infer`, to others one name."""
    if FILES[command] in dict(typed):
        raise UserError(f"{files[0]} means {FILES[command]}={files[0]}: give one of the two")
    if command == "infer":
        return list(files)
    if len(files) > 1:
        raise UserError(f"{command} takes one file, {FILES[command]}=: leave out {files[1]}")
    return files[0]


def choices(group: str) -> list[str]:
    """What there is to choose from in a group of settings."""
    return GlobalHydra.instance().config_loader().get_group_options(group)


def unknown_setting(name: str, names: Sequence[str], command: str) -> str:
    """What to say of a setting that a command does not have, by the names of those that it has."""
    if RENAMED.get(name) in names:
        return f"{name}= is {RENAMED[name]}= now"
    known = [each for each in names if not any(other.startswith(f"{each}.") for other in names)]  # no groups
    group, _, last = name.rpartition(".")
    members = {each.rpartition(".")[2]: each for each in known if group and each.rpartition(".")[0] == group}
    places = members or {each.rpartition(".")[2]: each for each in known}
    nearest = difflib.get_close_matches(name, known, n=1) if not members else []
    nearest = nearest or [places[each] for each in difflib.get_close_matches(last, places, n=1)]
    if nearest:
        return f"there is no setting '{name}': did you mean {nearest[0]}?"
    if members:
        return f"there is no setting '{name}': {group} has {', '.join(members)}"
    return f"there is no setting '{name}', as `{command} --help` shows"


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


def main() -> None:
    """The command `allaprima`: the name of one of `COMMANDS`, then its settings."""
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print("allaprima COMMAND NAME=VALUE ..., as in: allaprima infer photo.jpg style=udnie\n")
        print("\n".join(f"  {name:12}{purpose}" for name, (purpose, _) in COMMANDS.items()))
        print("\nallaprima COMMAND --help lists the command's settings")
        return
    if sys.argv[1] not in COMMANDS:
        fail(f"there is no command '{sys.argv[1]}': {choice_advice(sys.argv[1], COMMANDS)}")
    run(sys.argv[1], sys.argv[2:])
