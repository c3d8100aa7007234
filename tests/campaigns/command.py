"""The command line of the campaigns that consist of many trials."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable
from pathlib import Path


def parse(
    arguments: list[str],
    description: str,
    name: str,
    number: int,
    workers: int,
    sorts: tuple[str, Iterable[str]],
    trial: str,
) -> argparse.Namespace:
    """Return number, seed, workers, folder (absolute), only, and the chosen sorts as a list.

    Args:
        description: the campaign, for --help.
        name: the campaign's name in the default folder.
        number, workers: the defaults.
        sorts: (an option's name, its choices), as in ("kinds", KINDS). The default is all choices.
        trial: the form of a trial's name, for --help.
    """
    option, choices = sorts
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--number", type=int, default=number, help=f"trials, or kills, in all (default: {number})")
    add("--seed", type=int, default=1)
    add("--workers", type=int, default=workers, help="trials that run at the same time")
    add(f"--{option}", default=",".join(choices), help="separated by commas (default: all)")
    add("--folder", type=Path, help="for state and findings (default: a temporary folder)")
    add("--only", default="", help=f"run one trial again, {trial}, and keep its files")
    found = parser.parse_args(arguments)
    usual = Path(tempfile.gettempdir()) / f"dlinknet_{name}_{found.seed}"
    found.folder = (found.folder or usual).absolute()
    setattr(found, option, getattr(found, option).split(","))
    return found
