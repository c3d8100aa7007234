"""The command line of the scripts: words in a fixed order, settings, --wait, --help."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec

from dlinknet.errors import UserError
from dlinknet.launching.script_usages import Usage
from dlinknet.launching.supervisor import say

FALSE = ("", "0", "False", "false", "no")


@dataclass
class Arguments:
    """The arguments of a script.

    script: its file's name. words: the arguments in a fixed order. settings: the arguments that go
    to the command. waits: whether the script waits for the end. resumes: whether a training is
    resumed.
    """

    script: str
    words: list[str] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)
    waits: bool = False
    resumes: bool = False


def parse(script: str, usage: Usage, arguments: Sequence[str]) -> Arguments:
    """Return the arguments of a script by their kinds.

    Raises:
        UserError: one of them is not understood, or there are too few or too many words.
        SystemExit: --help was given; the help is printed.
    """
    found = Arguments(script)
    line = f"usage: bash scripts/{script} {usage.words}"
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if argument in ("-h", "--help"):
            say(f"{line}\n\n{usage.explained}\n\n{usage.settings}")
            raise SystemExit
        if argument == "--wait":
            found.waits = True
        elif name == "--resume":
            if not equals or value not in FALSE:
                found.resumes = True
                found.settings.append(argument)
        elif argument.startswith("--") and (equals or argument == "--tta"):
            if name[2:] in usage.owned:
                raise UserError(f"'{name}' is set by the script: bash scripts/{script} --help")
            found.settings.append(argument)
        elif argument.startswith("--"):
            raise UserError(f"'{argument}' is not understood: settings are --key=value")
        else:
            found.words.append(argument)
    if not usage.fewest <= len(found.words) <= usage.most:
        raise UserError(line)
    return found


def need_folder(name: str, path: str) -> None:
    """Check that a word names a folder, or a place in OBS that a ModelArts job copies from."""
    if not _is_remote(path) and not os.path.isdir(path):
        raise UserError(f"{name}: there is no folder {path}")


def need_file(name: str, path: str) -> None:
    """Check that a word names a file, or a place in OBS that a ModelArts job copies from."""
    if not _is_remote(path) and not os.path.isfile(path):
        raise UserError(f"{name}: there is no file {path}")


def need_number(name: str, text: str) -> int:
    """Return a word as a whole number, at least 0."""
    if not (text.isascii() and text.isdigit()):
        raise UserError(f"{name} must be a whole number, not '{text}'")
    return int(text)


def need_count(name: str, text: str) -> int:
    """Return a word as a whole number, at least 1."""
    number = need_number(name, text)
    if number < 1:
        raise UserError(f"{name} must be at least 1, not {text}")
    return number


def need_mindspore() -> None:
    """Check that this Python has MindSpore. The shell's half of a script prefers such a Python."""
    if find_spec("mindspore") is None:
        raise UserError(
            "no Python on PATH has MindSpore: pip install -r requirements.txt, "
            "or make .venv with bash scripts/quickstart.sh"
        )


def _is_remote(path: str) -> bool:
    return path.startswith(("s3://", "obs://"))
