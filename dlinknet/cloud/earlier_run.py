"""Download an earlier run from a store, so that its training can be resumed."""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dlinknet.cloud.outputs import LEFT, NEWEST
from dlinknet.cloud.store import Object, Store, join
from dlinknet.cloud.transfer import contents, get_file
from dlinknet.console import LOG

FETCHED = {"state": dict, "made": dict}  # the record of a downloaded run


def find_run(store: Store, url: str, log_name: str) -> dict[str, Object]:
    """Return the files of a run that can be resumed, by name; empty if the folder has no such run.

    Args:
        url: the folder in the store.
        log_name: the run's name, with which the names of its files begin.
    """
    found = contents(store, url)
    if f"{log_name}{NEWEST}" not in found:
        return {}
    return {
        name: described
        for name, described in found.items()
        if name.startswith(f"{log_name}_") and "/" not in name and not name.endswith(LEFT)
    }


def bring_run(
    store: Store, url: str, run: dict[str, Object], folder: Path, last: Any
) -> dict[str, Any]:
    """Make `folder` hold the files of a run as they are in the store, and nothing else.

    A later process of the same job finds the folder as the first one made it, and keeps it. The
    files of an earlier job are moved aside: the store decides, because all nodes see it.

    Args:
        url: the run's folder in the store.
        run: its files; empty for an empty folder.
        last: the record that the last call returned, or None.

    Returns:
        The record: the run's files in the store ("state") and here ("made").
    """
    state = {name: asdict(described) for name, described in run.items()}
    if last and last["state"] == state and folder.is_dir() and _states(folder) == last["made"]:
        return last
    if folder.exists() and any(folder.iterdir()):
        aside = folder.with_name(f"{folder.name}_before")
        shutil.rmtree(aside, ignore_errors=True)
        os.replace(folder, aside)
        LOG.info("the files of an earlier job in %s are now in %s", folder, aside)
    folder.mkdir(parents=True, exist_ok=True)
    for name, described in run.items():
        get_file(store, join(url, name), described, folder / name)
    return {"state": state, "made": _states(folder)}


def _states(folder: Path) -> dict[str, list[int]]:
    """Return every file of a folder with its size and time, so that any change shows."""
    return {
        file.name: [file.stat().st_size, file.stat().st_mtime_ns]
        for file in sorted(folder.iterdir())
        if file.is_file()
    }
