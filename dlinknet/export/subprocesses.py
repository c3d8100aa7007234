"""Work in a Python process of its own: another MindSpore that shares nothing with this one, or another device."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from dlinknet.errors import RunFailed, first_line

ROOT = Path(__file__).resolve().parent.parent.parent


def call_fresh(
    module: str, function: str, *arguments: str, cwd: Path, python: str = sys.executable
) -> None:
    """Calls dlinknet.export.MODULE.FUNCTION(*arguments) in a new process.

    Args:
        cwd: where it works; MindSpore drops folders there, so it should be one that is removed.
        arguments: paths among them must be absolute.

    Raises:
        RunFailed: it raised something, or died; the text is what was raised.
    """
    words = ", ".join(repr(argument) for argument in arguments)
    # Leaves without MindSpore's own shutdown, which at times dies of a signal when all is done.
    code = (
        f"import os, sys; sys.path.insert(0, {str(ROOT)!r}); from dlinknet.export import {module}; {module}.{function}({words}); "
        "os._exit(0)"
    )
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, cwd=cwd)
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines()]
        # MindSpore's errors end in a list of its C++ lines; what was raised stands behind the traceback's last line.
        raised = next(
            (
                line
                for line in lines
                if line.split(":")[0].endswith(("Error", "Failed", "Exception"))
            ),
            "",
        )
        raise RunFailed(
            raised[:300] or first_line(done.stderr or f"it ended with status {done.returncode}")
        )
