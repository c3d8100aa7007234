"""The list of the commands, and the facts about each that the program needs."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Callable

# Command -> file in this folder. `dlinknet --help` lists them in this order.
FILES = {
    "train": "train",
    "eval": "evaluate",
    "predict": "predict",
    "export": "export",
    "postprocess": "postprocess",
    "report": "report",
    "parity": "parity",
    "convert": "convert",
    "convert-om": "convert_om",
    "profile": "profile",
    "class-weights": "class_weights",
    "split-data": "split_data",
    "draw-scenes": "draw_scenes",
    "rank-table": "rank_table",
}


@dataclass(frozen=True)
class Command:
    """The facts about a command that the program needs.

    main: runs the command on its arguments, the command line without the program's name.
    memory: the settings to lower if memory is short, as an error's line names them.
    inputs: the settings that name the inputs of a ModelArts job, data_path first.
    output: the setting that names the output of a ModelArts job; '' if the command cannot be a job.
    """

    main: Callable[[list[str]], None]
    memory: str = ""
    inputs: tuple[str, ...] = ()
    output: str = ""


def find(name: str) -> Command:
    """Return a command by its name in FILES."""
    command: Command = import_module(f"dlinknet.commands.{FILES[name]}").COMMAND
    return command


def summary(name: str) -> str:
    """Return the summary of a command: the first line of its file's docstring."""
    text = import_module(f"dlinknet.commands.{FILES[name]}").__doc__ or ""
    return text.partition("\n")[0]
