"""The text of --help: it equals the golden files in tests/commands/golden.

After a change of a help text on purpose, renew the files and look at the difference:

    RENEW_GOLDEN=1 python -m pytest tests/commands/test_help.py
    git diff tests/commands/golden
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from dlinknet import config
from dlinknet.__main__ import list_commands
from dlinknet.commands.command import FILES
from tests.conftest import ROOT, refused

GOLDEN = Path(__file__).resolve().parent / "golden"
RENEW = os.environ.get("RENEW_GOLDEN", "") not in ("", "0")


def compare(name: str, text: str) -> None:
    """Compare a text with a golden file, or write the file if RENEW_GOLDEN is set."""
    file = GOLDEN / f"{name}.txt"
    # Python 3.9 has another heading than later versions.
    text = text.replace("\noptional arguments:\n", "\noptions:\n")
    if RENEW:
        GOLDEN.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert file.is_file(), f"{file} is missing: run RENEW_GOLDEN=1 python -m pytest {__file__}"
    assert text == file.read_text(encoding="utf-8"), (
        f"the text of --help has changed; if that is right, run RENEW_GOLDEN=1 python -m pytest "
        f"{__file__}"
    )


def test_the_list_of_the_commands(capsys):
    list_commands(["--help"])
    compare("dlinknet", capsys.readouterr().out)


@pytest.mark.parametrize("command", FILES)
def test_the_help_of_a_command(command, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", [f"dlinknet {command}"])
    description = import_module(f"dlinknet.commands.{FILES[command]}").__doc__
    with pytest.raises(SystemExit) as end:
        config.load(["--help"], description, command=command)
    assert end.value.code == 0
    compare(command, capsys.readouterr().out)


def test_every_golden_file_belongs_to_a_command():
    assert {file.stem for file in GOLDEN.iterdir()} == {"dlinknet", *FILES}


@pytest.mark.parametrize("words", [["--help"], ["train", "--data_path=x"]])
def test_a_python_without_a_package_is_named(words):
    code = (
        "import sys; sys.modules['tqdm'] = None; "
        f"sys.argv = ['dlinknet', *{words}]; from dlinknet.__main__ import program; program()"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    refused(result, f"{sys.executable} lacks the package tqdm: use .venv/bin/python")
