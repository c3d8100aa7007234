"""The command line that the campaigns of many trials share."""

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
        description: of the campaign, for --help. name: in the folder's usual name.
        number, workers: the defaults.
        sorts: an option's name and its choices, all of which are the default: ("kinds", KINDS).
        trial: how a trial is called, for --help.
    """
    option, choices = sorts
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--number", type=int, default=number, help=f"trials in all (default: {number})")
    add("--seed", type=int, default=1)
    add("--workers", type=int, default=workers, help="trials side by side")
    add(f"--{option}", default=",".join(choices), help="which, with commas (default: all)")
    add("--folder", type=Path, help="state and findings (default: among the temporary files)")
    add("--only", default="", help=f"run one trial again, {trial}, and keep its files")
    found = parser.parse_args(arguments)
    usual = Path(tempfile.gettempdir()) / f"dlinknet_{name}_{found.seed}"
    found.folder = (found.folder or usual).absolute()
    setattr(found, option, getattr(found, option).split(","))
    return found
