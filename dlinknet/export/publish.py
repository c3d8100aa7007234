"""Files of exports: made in a folder of their own, and moved to their place when they are whole."""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dlinknet import signals
from dlinknet.inference import description


@contextmanager
def work_folder(target: Path) -> Iterator[Path]:
    """Make a folder beside `target`, and remove it at the end, also if a signal ends the process.

    Folders of processes that have died are removed too.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for left in target.parent.glob(f".{glob.escape(target.name)}.*"):
        if left.suffix[1:].isdigit() and not Path("/proc", left.suffix[1:]).exists():
            shutil.rmtree(left, ignore_errors=True)
    work = target.with_name(f".{target.name}.{os.getpid()}")
    work.mkdir()
    signals.add_unfinished(work)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
        signals.remove_unfinished(work)


def publish(file: Path, target: Path, values: dict[str, Any]) -> None:
    """Move a finished model to its place, with the JSON beside it.

    Args:
        file: the model, in a work folder, with the name of the target.
        values: the content of the JSON.
    """
    description.write(file, values)
    # A model without its JSON is no export. The old JSON goes first, so that a new model never
    # stands beside it.
    description.path_of(target).unlink(missing_ok=True)
    file.replace(target)
    description.path_of(file).replace(description.path_of(target))
