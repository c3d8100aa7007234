"""Errors that a user reads: one line on stderr and an exit status instead of a traceback.

0   the command is done
1   the run failed: the loss became NaN, the disk is full, there is too little memory
2   the user can repair the mistake: a wrong key, a missing file
128 + the number of the signal that ended the command (signals.py): 130 for SIGINT, 143 for SIGTERM
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Callable

from dlinknet import signals

# Messages about too little memory, as they come from MindSpore on a CPU, a GPU and an Ascend, from
# oneDNN, CUDA, CANN, C++, NumPy, OpenCV, ONNX Runtime and the kernel.
OUT_OF_MEMORY = re.compile(
    r"out[ _]of[ _]memory|memory (not|isn.?t|is not) enough|not enough memory|insufficient memory"
    r"|bad[_ ]alloc|could not create a (primitive(?! descriptor)|memory)|alloc\w*.{0,40}fail"
    r"|(unable|fail\w*|cannot) to (\w{0,2})alloc|cannot allocate|failed to map segment"
    r"|resource temporarily unavailable|can't start new thread",
    re.IGNORECASE,
)

# Errors of the system that a wrong path causes.
MISTAKES = (
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EINVAL,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
)
LINE = 1000  # the most characters of an error's line


class OneLineError(Exception):
    """An error whose text is one printable line (see `one_line`)."""

    def __init__(self, text: str):
        super().__init__(one_line(text))


class UserError(OneLineError):
    """A mistake that the user can repair.

    The text names the file or key and the remedy.
    """


class InputError(UserError):
    """A file or a value that the library cannot use.

    The library does not know which setting named it: `naming` adds that.

    "BEFORE SUBJECT REASON" is a sentence.

    Args:
        subject: the file or value.
        reason: the fault and the remedy.
        before: the words before the subject, as in "cannot read".
    """

    def __init__(self, subject: object, reason: str, before: str = ""):
        self.subject, self.reason, self.before = str(subject), reason, before
        start = f"{before} " if before else ""
        space = "" if reason.startswith((":", ";", ",")) or not reason else " "
        super().__init__(f"{start}{subject or 'the value'}{space}{reason}")


@contextmanager
def naming(setting: str) -> Iterator[None]:
    """Add the name of a setting to the errors of the block.

    An error that an inner block has named stays as it is.

    Raises:
        UserError: the block raised an InputError. The text is "SETTING: BEFORE SUBJECT REASON", or
            "SETTING REASON" if the subject is empty.
    """
    try:
        yield
    except InputError as error:
        raise UserError(
            f"{setting}: {error}" if error.subject else f"{setting} {error.reason}"
        ) from None


class RunFailed(OneLineError):
    """A failure that the user's input did not cause.

    The text says which work is kept.
    """


def run_command(main: Callable[[list[str]], None], memory: Callable[[], str] = str) -> None:
    """Run `main` on the arguments of the command line, and exit with a status of the table above.

    An exception that is none of the errors above is a fault of dlinknet and keeps its traceback.

    Args:
        main: runs the command on its arguments.
        memory: returns the settings to lower, as the error's line names them. It is called if
            memory is short.
    """
    status, text, short = 0, "", False
    try:
        main(sys.argv[1:])
    except SystemExit as end:  # --help
        status = int(end.code or 0)
    except Exception as error:
        signals.leave_to_signal()
        short = is_out_of_memory(error)
        status, text = _status_and_text(error, memory() if short else "")
        if not text:
            signals.be_over()
            raise
    signals.be_over()
    _flush()
    if text:
        with suppress(OSError):  # the disk of stderr may be full
            print(f"{Path(sys.argv[0]).name}: error: {one_line(text)}", file=sys.stderr, flush=True)
    if status:
        signals.leave(status, at_once=short)


def _status_and_text(error: Exception, memory: str) -> tuple[int, str]:
    """Return an error's exit status and text; '' as text for a fault of dlinknet."""
    lower = f"; lower {memory}" if memory else ""
    if isinstance(error, (UserError, RunFailed)):
        return (2 if isinstance(error, UserError) else 1), f"{error}{lower}"
    if is_out_of_memory(error):
        return 1, f"out of memory: {first_line(error)}{lower}"
    if isinstance(error, OSError):
        text = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        return (2 if error.errno in MISTAKES else 1), text
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing and missing.partition(".")[0] != "dlinknet":
        return 2, (
            f"{sys.executable} lacks the package {missing}: use .venv/bin/python, which "
            "scripts/quickstart.sh makes, or pip install -r requirements.txt"
        )
    return 1, ""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error of any library reports too little memory or too many threads."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOMEM, errno.EAGAIN)
    return isinstance(error, MemoryError) or bool(OUT_OF_MEMORY.search(str(error)))


def _flush() -> None:
    """Write the buffered text to stdout, or drop it if stdout cannot be written.

    Otherwise Python itself would print an error about this text when the process ends.
    """
    try:
        sys.stdout.flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.close(null)


def one_line(text: str) -> str:
    """Return a text as one printable line of at most LINE characters.

    Names of files and messages of libraries may contain any character. A line that is too long
    loses its middle, because the remedy is at the end.
    """
    line = " ".join(text.split())
    if not line.isprintable():
        line = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)
    return line if len(line) <= LINE else f"{line[: LINE - 305]} ... {line[-300:]}"


def shown(value: object, most: int = 60) -> str:
    """Return a value as an error's line quotes it: its repr, cut to `most` characters."""
    # A str or bytes is cut first, because Python would build the whole repr of a huge one.
    text = repr(value[: most + 1] if isinstance(value, (str, bytes)) else value)
    return text if len(text) <= most else text[: most - 3] + "..."


def clipped(text: str, most: int = 300) -> str:
    """Return a text as one line of at most `most` characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 3] + "..."


def name_some(names: list[str], most: int = 5) -> str:
    """Return the first `most` names: 'a, b, c' or 'a, b, c, d, e and 12 more'."""
    first = ", ".join(names[:most])
    return f"{first} and {len(names) - most} more" if len(names) > most else first


def first_line(error: BaseException | str) -> str:
    """Return the first line of an error that is neither blank nor a ruler, at most 200 characters.

    An error without text gives its class name. MindSpore's errors have many lines, and the first
    gives the reason. OpenVINO's begin with lines that name its own source.
    """
    lines = [
        line.strip()
        for line in str(error).splitlines()
        if line.strip(" -") and not line.startswith("Exception from src/")
    ]
    return (lines or [type(error).__name__])[0][:200]
