"""What a process that a signal ends would leave behind: unfinished files, and processes."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path  # slow to import; signals.py is imported before anything else


def remove(path: Path) -> None:
    """Remove a folder, or a file and those whose names begin with its stem.

    If that fails, the next run removes them.
    """
    with suppress(OSError):
        if os.path.isdir(path):
            import shutil

            shutil.rmtree(path, ignore_errors=True)
            return
        for name in os.listdir(path.parent):
            if name.startswith(path.stem):
                os.unlink(path.parent / name)


def end_children() -> None:
    """Send SIGTERM to the processes that this one has started: they would go on alone."""
    children: list[str] = []
    with suppress(OSError):
        # It fails outside of Linux, with a kernel without these lists, or if a thread just ended.
        for task in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{task}/children", encoding="ascii") as file:
                children += file.read().split()
    for child in children:
        with suppress(OSError):
            os.kill(int(child), signal.SIGTERM)
