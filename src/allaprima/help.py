"""What `--help` prints: every setting with its default, its meaning, and what there is to choose from."""

import re
import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

COLUMN = 32  # where meanings begin
WIDEST = 120
LINE = re.compile(r"(?P<indent> *)(?P<name>\w+):(?: (?P<default>[^#]\S*|\[.*?\]))?(?: *# (?P<meaning>.*))?")


def help_text(
    usage: str, configs: Path, command: str, groups: Mapping[str, str | None], options: Mapping[str, Sequence[str]]
) -> str:
    """The settings of a command, in lines that fit the terminal.

    Args:
        usage: what is printed first.
        configs: the folder of settings.
        command: as its file there is called.
        groups: those in which the command chooses a file, each with its default.
        options: of each group, what there is to choose from.
    """
    lines = [usage, "", *rows(configs / f"{command}.yaml")]
    for group, choice in groups.items():
        lines += ["", *row(f"{group}={choice or 'null'}", f"one of {', '.join(options[group])}")]
        for file in (configs / group / f"{choice}.yaml", configs / f"{group}.yaml"):
            if file.exists():
                lines += rows(file, f"{group}.")
    return "\n".join(
        [*lines, "", "--multirun runs every combination of values given as A,B; --cfg job prints all settings"]
    )


def rows(file: Path, prefix: str = "") -> Iterator[str]:
    """Of a file of settings its remarks, and every setting with its comment, `prefix` before its name."""
    group = ""
    for line in file.read_text().splitlines():
        if line.startswith("# ") and "@package" not in line:
            yield from row("", line.removeprefix("# ")) if prefix else [f"Example: {line.removeprefix('# ')}", ""]
        elif match := LINE.fullmatch(line):
            group = group if match["indent"] else ""
            name = f"{prefix}{group}{match['name']}"
            if match["default"] == "???" and prefix:
                continue  # it comes with the choice of a file
            if match["default"] or match["meaning"]:
                yield from row(f"{name}={(match['default'] or '').replace('???', '')}", match["meaning"] or "")
            else:
                group = f"{match['name']}."


def row(name: str, meaning: str) -> list[str]:
    """A setting and its meaning, which has a column of its own."""
    width = min(shutil.get_terminal_size().columns, WIDEST)
    lines = textwrap.wrap(meaning, max(width - COLUMN, COLUMN), break_on_hyphens=False) or [""]
    if len(name) > COLUMN - 4:
        return [f"  {name}", *(" " * COLUMN + line for line in lines if line)]
    return [f"  {name:{COLUMN - 2}}{lines[0]}".rstrip(), *(" " * COLUMN + line for line in lines[1:])]
