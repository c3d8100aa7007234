"""The command line: --key=value for every setting, --help for their texts."""
from __future__ import annotations

import argparse
import difflib
from typing import Any, Iterable

from dlinknet.console import show
from dlinknet.errors import UserError


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        raise UserError(message)

    def print_help(self, file: object = None) -> None:
        show(self.format_help().rstrip())       # argparse's own says nothing where it cannot be printed


def split(arguments: list[str], description: str, file: str, keys: dict[str, tuple[str, Any, Any]],
          bare: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """(the keys that a command line gives, with config_path, as text; what is left of it).

    Args:
        arguments: the command line without the program's name.
        description: what the command does, for --help.
        file: name of the YAML file with the defaults, for --help.
        keys: key -> (help text, default, limit or None).
        bare: keys that may stand without a value, which then is True.

    Raises:
        UserError: a key without its value.
    """
    parser = _Parser(description=description, allow_abbrev=False, argument_default=argparse.SUPPRESS,
                     usage="%(prog)s [--key=value ...]",
                     formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=30, width=110))
    parser.add_argument("--config_path", metavar="FILE",
                        help=f"YAML file whose keys replace the defaults (default: {file} beside the command)")
    for key, (text, default, limit) in keys.items():
        allowed = describe(limit)
        text = f"{text} (default: {'empty' if default == '' else default}{'; ' + allowed if allowed else ''})"
        parser.add_argument(f"--{key}", metavar="VALUE", help=text.replace("%", "%%"),
                            **({"nargs": "?", "const": "True"} if key in bare else {}))
    known, unknown = parser.parse_known_args(arguments)
    return vars(known), unknown


def nearest(word: str, words: Iterable[str], prefix: str = "") -> str:
    """The word that was meant perhaps, as the end of an error's line; empty where none is like it."""
    close = difflib.get_close_matches(word, list(words), n=1, cutoff=0.5)
    return f"; did you mean '{prefix}{close[0]}'?" if close else ""


def describe(limit: Any) -> str:
    """A key's limits in words."""
    if limit is None:
        return ""
    if isinstance(limit, list):
        return "one of " + ", ".join(limit)
    words = {"min": "at least", "max": "at most", "above": "above", "below": "below", "multiple_of": "a multiple of"}
    return " and ".join(f"{words[name]} {bound}" for name, bound in limit.items())
