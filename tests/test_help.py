import re
import sys

import pytest

from allaprima.cli import COMMANDS, main
from allaprima.help import row, rows


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["allaprima", command, "--help"])
    monkeypatch.setenv("COLUMNS", "90")
    main()
    text = capsys.readouterr().out
    assert COMMANDS[command][0] in text and "Hydra" not in text and "defaults:" not in text
    assert max(len(line.rstrip()) for line in text.splitlines() if line.startswith("  ")) <= 90


def test_rows(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    file = tmp_path / "settings.yaml"
    file.write_text(
        "# allaprima bake bread\ndefaults:\n  - style: kandinsky # bundled\n\nseed: 0 # of all\nname: ???\n"
        "several: [a, b] # letters\nbare: 1\ngroup:\n  member: null # in it\nlist: # of things\n  - {a: 1}\n"
    )
    assert [re.split("  +", line.strip()) for line in rows(file) if line] == [
        ["Example: allaprima bake bread"],
        ["seed=0", "of all"],
        ["name="],
        ["several=[a, b]", "letters"],
        ["bare=1"],
        ["group.member=null", "in it"],
        ["list=", "of things"],
    ]
    grouped = [line.split()[0] for line in rows(file, "oven.")]
    assert grouped == [
        "allaprima",
        "oven.seed=0",
        "oven.several=[a,",
        "oven.bare=1",
        "oven.group.member=null",
        "oven.list=",
    ]


def test_long_names_and_meanings_have_lines_of_their_own(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    lines = row("a" * 40 + "=1", "word " * 20)
    assert lines[0].strip() == "a" * 40 + "=1" and len(lines) == 5
    assert all(line.startswith(" " * 32 + "word") and len(line) <= 64 for line in lines[1:])
