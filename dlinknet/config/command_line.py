"""The command line: --key=value for every setting, --help for their texts."""

from __future__ import annotations

import argparse
import difflib
from typing import Any, Iterable, NamedTuple, NoReturn

from dlinknet.console import show
from dlinknet.errors import UserError


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(message)

    def print_help(self, file: object = None) -> None:
        show(self.format_help().rstrip())  # argparse's own says nothing where it cannot be printed


class Setting(NamedTuple):
    """What --help says of a setting: its text, its default, its limits; and whether it says anything."""

    text: str
    default: Any
    limit: Any
    listed: bool = True


def split(
    arguments: list[str],
    description: str,
    settings: dict[str, Setting],
    headings: dict[str, list[str]],
    bare: Iterable[str],
) -> tuple[dict[str, str], list[str]]:
    """Return (the keys that a command line gives, with config_path, as text; the other words).

    Args:
        arguments: the command line without the program's name.
        description: what the command does, for --help.
        settings: every key that is accepted.
        headings: heading -> the keys that --help lists under it.
        bare: keys that may stand without a value, which then is True.

    Raises:
        UserError: a key without its value.
    """
    parser = _Parser(
        description=description,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
        usage="%(prog)s [--key=value ...]",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=30, width=100),
    )
    parser.add_argument(
        "--config_path",
        metavar="FILE",
        help="YAML file whose keys replace the defaults (those of dlinknet_config.yaml)",
    )
    for heading, keys in headings.items():
        group = parser.add_argument_group(heading)
        for key in keys:
            setting = settings[key]
            optional: dict[str, Any] = {"nargs": "?", "const": "True"} if key in bare else {}
            group.add_argument(f"--{key}", metavar="VALUE", help=_explained(setting), **optional)
    known, unknown = parser.parse_known_args(arguments)
    return vars(known), unknown


def _explained(setting: Setting) -> str:
    """Return a setting's text for --help."""
    if not setting.listed:
        return argparse.SUPPRESS
    default = "empty" if setting.default == "" else setting.default
    allowed = describe(setting.limit)
    text = f"{setting.text} (default: {default}{'; ' + allowed if allowed else ''})"
    return text.replace("%", "%%")


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
    words = {
        "min": "at least",
        "max": "at most",
        "above": "above",
        "below": "below",
        "multiple_of": "a multiple of",
    }
    return " and ".join(f"{words[name]} {bound}" for name, bound in limit.items())
