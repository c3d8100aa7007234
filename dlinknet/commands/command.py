"""Which commands there are, and what the program has to know of one."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Callable

# The name of each command and of its file; `dlinknet --help` lists them in this order.
FILES = {
    "train": "train",
    "eval": "evaluate",
    "predict": "predict",
    "export": "export",
    "postprocess": "postprocess",
    "report": "report",
    "parity": "parity",
    "convert": "convert",
    "profile": "profile",
    "class-weights": "class_weights",
    "split-data": "split_data",
    "draw-scenes": "draw_scenes",
    "rank-table": "rank_table",
}


@dataclass(frozen=True)
class Command:
    """How a command is run.

    main: runs it on its arguments, the command line without the program's name.
    memory: the settings to lower if memory is short, as an error's line names them.
    inputs: for a ModelArts job, the settings that name what the command reads, data_path first.
    output: for a ModelArts job, the setting that names what it writes; empty if it cannot be one.
    """

    main: Callable[[list[str]], None]
    memory: str = ""
    inputs: tuple[str, ...] = ()
    output: str = ""


def find(name: str) -> Command:
    """Return the command of a name in FILES."""
    command: Command = import_module(f"dlinknet.commands.{FILES[name]}").COMMAND
    return command


def summary(name: str) -> str:
    """Return what a command does, in one line: the first line of its file's docstring."""
    text = import_module(f"dlinknet.commands.{FILES[name]}").__doc__ or ""
    return text.partition("\n")[0]
