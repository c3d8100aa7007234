"""Work in a Python process of its own: another MindSpore that shares nothing with this one, or another device."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from dlinknet.errors import RunFailed

ROOT = Path(__file__).resolve().parent.parent.parent


def call_fresh(module: str, function: str, *arguments: str, python: str = sys.executable) -> None:
    """Calls dlinknet.deploy.MODULE.FUNCTION(*arguments) in a new process, in the project's folder: paths must be absolute.

    Raises:
        RunFailed: it raised something, or died; the text is its last line.
    """
    words = ", ".join(repr(argument) for argument in arguments)
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from dlinknet.deploy import {module}; {module}.{function}({words})"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip(" -")]
        # MindSpore's errors end in a list of its C++ lines; what was raised stands behind the last line of the traceback.
        raised = next((line for line in lines if line.split(":")[0].endswith(("Error", "Failed", "Exception"))), "")
        raise RunFailed((raised or (lines[-1] if lines else f"it ended with status {done.returncode}"))[:300])
