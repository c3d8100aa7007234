"""The command line: --key=value for every setting, and the text of --help."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterable
from typing import Any, NamedTuple, NoReturn

from dlinknet.console import show
from dlinknet.errors import UserError


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(message)

    def print_help(self, file: object = None) -> None:
        # argparse's own method stays silent if stdout cannot be written.
        show(self.format_help().rstrip())


class Setting(NamedTuple):
    """A setting as --help explains it.

    text, default: as in dlinknet_config.yaml. limit: a list of choices, a dict of bounds, or None.
    listed: False leaves the setting out of --help.
    """

    text: str
    default: Any
    limit: Any
    listed: bool = True


def parse_arguments(
    arguments: list[str],
    description: str,
    settings: dict[str, Setting],
    headings: dict[str, list[str]],
    bare: Iterable[str],
) -> tuple[dict[str, str], list[str]]:
    """Return (key -> value as text, the other words) of a command line.

    The keys are those of the settings, and config_path.

    Args:
        arguments: the command line without the program's name.
        description: the text of --help about the command.
        settings: every key that is accepted.
        headings: heading -> the keys that --help lists under it.
        bare: the keys that do not require a value. Without a value they are True.

    Raises:
        UserError: a key lacks its value.
        SystemExit: the command line has --help. The help is then on stdout.
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
        help="YAML file whose settings replace the defaults of dlinknet_config.yaml",
    )
    for heading, keys in headings.items():
        group = parser.add_argument_group(heading)
        for key in keys:
            setting = settings[key]
            optional: dict[str, Any] = {"nargs": "?", "const": "True"} if key in bare else {}
            group.add_argument(f"--{key}", metavar="VALUE", help=_help_text(setting), **optional)
    known, unknown = parser.parse_known_args(arguments)
    return vars(known), unknown


def _help_text(setting: Setting) -> str:
    """Return the text of --help about a setting."""
    if not setting.listed:
        return argparse.SUPPRESS
    default = "empty" if setting.default == "" else setting.default
    allowed = explain_limits(setting.limit)
    text = f"{setting.text} (default: {default}{'; ' + allowed if allowed else ''})"
    return text.replace("%", "%%")


def did_you_mean(word: str, words: Iterable[str], prefix: str = "") -> str:
    """Return the end of an error's line that suggests the most similar word.

    It is '' if no word is similar.

    Args:
        prefix: is put before the suggested word.
    """
    close = difflib.get_close_matches(word, list(words), n=1, cutoff=0.5)
    return f"; did you mean '{prefix}{close[0]}'?" if close else ""


def explain_limits(limit: Any) -> str:
    """Return the limits of a setting in words; '' for None."""
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
