"""Call a function of this room in a new Python process, with a MindSpore or a device of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from dlinknet.errors import RunFailed, first_line
from dlinknet.files.shipped import PACKAGE


def call_in_new_process(
    module: str, function: str, *arguments: str, cwd: Path, python: str = sys.executable
) -> None:
    """Call dlinknet.export.MODULE.FUNCTION(*arguments) in a new process, and wait for its end.

    Args:
        arguments: texts; paths among them must be absolute.
        cwd: the process's working folder. MindSpore drops folders there, so it should be temporary.
        python: the interpreter.

    Raises:
        RunFailed: the function raised an error, or the process died. The text is that of the error.
    """
    words = ", ".join(repr(argument) for argument in arguments)
    # os._exit skips MindSpore's own shutdown, which a signal sometimes ends after the work is done.
    code = (
        f"import os, sys; sys.path.insert(0, {str(PACKAGE.parent)!r}); "
        f"from dlinknet.export import {module}; {module}.{function}({words}); os._exit(0)"
    )
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, cwd=cwd)
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines()]
        # A traceback of MindSpore ends with lines of C++; the error itself stands above them.
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
