"""How a command ends: one line on stderr and an exit status, in place of a traceback.

0   done
1   the run failed: the loss became NaN, the disk is full, there is too little memory
2   a mistake that the user can mend: a wrong key, a missing file
128 + number of the signal that ended it (signals.py): 130 of SIGINT, 143 of SIGTERM
"""

from __future__ import annotations

import errno
import os
import re
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator

from dlinknet import signals

# What MindSpore on a CPU, a GPU and an Ascend, oneDNN, CUDA, CANN, C++, NumPy, OpenCV, ONNX Runtime and the kernel say of too
# little memory.
OUT_OF_MEMORY = re.compile(
    r"out[ _]of[ _]memory|memory (not|isn.?t|is not) enough|not enough memory|insufficient memory|bad[_ ]alloc"
    r"|could not create a (primitive(?! descriptor)|memory)|alloc\w*.{0,40}fail|(unable|fail\w*|cannot) to (\w{0,2})alloc"
    r"|cannot allocate|failed to map segment|resource temporarily unavailable|can't start new thread",
    re.IGNORECASE,
)


# What the system says of a path that cannot be meant.
MISTAKES = (
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EINVAL,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
)
LINE = 1000  # characters of an error's line


class Told(Exception):
    """An error that a user reads: `one_line` of its text."""

    def __init__(self, text: str):
        super().__init__(one_line(text))


class UserError(Told):
    """A mistake that the user can repair. The text is one line that names the file or key and the remedy."""


class InputError(UserError):
    """A file or a value that the library cannot use.

    The library does not know which setting named it: `naming` adds that.

    Args:
        subject: the file or value.
        reason: what is wrong with it and the remedy. "BEFORE SUBJECT REASON" is a sentence.
        before: what stands before the subject, as in "cannot read".
    """

    def __init__(self, subject: object, reason: str, before: str = ""):
        self.subject, self.reason, self.before = str(subject), reason, before
        start = f"{before} " if before else ""
        space = "" if reason.startswith((":", ";", ",")) or not reason else " "
        super().__init__(f"{start}{subject or 'the value'}{space}{reason}")


@contextmanager
def naming(setting: str) -> Iterator[None]:
    """Have the errors of the block say which setting named the file or value.

    An error that an inner block has named stays as it is.

    Raises:
        UserError: for an InputError of the block, "SETTING: " and its sentence, or "SETTING REASON" if
            its subject is empty.
    """
    try:
        yield
    except InputError as error:
        raise UserError(
            f"{setting}: {error}" if error.subject else f"{setting} {error.reason}"
        ) from None


class RunFailed(Told):
    """A run that cannot go on though it was asked for rightly. The text is one line that says what is left."""


def run_command(main: Callable[[list[str]], None], memory: str = "") -> None:
    """Runs `main` on the command line's arguments and exits with the status of the table above.

    Other exceptions are faults of ours and keep their traceback.

    Args:
        memory: the settings that a command with too little memory should be given a lower value of.
    """
    status, text, short = 0, "", False
    try:
        main(sys.argv[1:])
    except SystemExit as end:  # --help
        status = int(end.code or 0)
    except Exception as error:
        signals.leave_to_signal()
        short = out_of_memory(error)
        status, text = _told(error, memory if short else "")
        if not text:
            signals.be_over()
            raise
    signals.be_over()
    _flush()
    if text:
        try:
            print(f"{Path(sys.argv[0]).name}: error: {one_line(text)}", file=sys.stderr, flush=True)
        except OSError:
            pass  # the disk of stderr is full
    if status:
        signals.leave(status, at_once=short)


def _told(error: Exception, memory: str) -> tuple[int, str]:
    """(status, what the line says of an error); the text is empty for a fault of dlinknet itself."""
    lower = f"; lower {memory}" if memory else ""
    if isinstance(error, (UserError, RunFailed)):
        return (2 if isinstance(error, UserError) else 1), f"{error}{lower}"
    if out_of_memory(error):
        return 1, f"out of memory: {first_line(error)}{lower}"
    if isinstance(error, OSError):
        return (
            2 if error.errno in MISTAKES else 1
        ), f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return 1, ""


def out_of_memory(error: BaseException) -> bool:
    """Whether an error of any library says that there is too little memory, or that no more threads may be started."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOMEM, errno.EAGAIN)
    return isinstance(error, MemoryError) or bool(OUT_OF_MEMORY.search(str(error)))


def _flush() -> None:
    """Writes what stdout holds; where that fails, it is dropped, so that Python does not complain when it ends."""
    try:
        sys.stdout.flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.close(null)


def one_line(text: str) -> str:
    """Return a text as one printable line of at most LINE characters.

    Names of files and what libraries say may hold anything. What is too long loses its middle: a line ends with the remedy.
    """
    line = " ".join(text.split())
    if not line.isprintable():
        line = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)
    return line if len(line) <= LINE else f"{line[: LINE - 305]} ... {line[-300:]}"


def shown(value: object, most: int = 60) -> str:
    """Return a value as an error's line quotes it: its repr, cut to `most` characters."""
    # A str or bytes is cut first: the repr of a huge one would be built whole.
    text = repr(value[: most + 1] if isinstance(value, (str, bytes)) else value)
    return text if len(text) <= most else text[: most - 3] + "..."


def clipped(text: str, most: int = 300) -> str:
    """Return a text as one line of at most `most` characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 3] + "..."


def name_some(names: list[str], most: int = 5) -> str:
    """The first few names for an error's line: 'a, b, c' or 'a, b, c, d, e and 12 more'."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def first_line(error: BaseException | str) -> str:
    """What an error says in its first line that is no rule or blank; its kind where it says nothing. At most 200 characters.

    MindSpore's errors are pages, with the reason on top.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip(" -")]
    return (lines or [type(error).__name__])[0][:200]
