"""How a command ends: one line on stderr and an exit status, in place of a traceback.

    0   done
    1   the run failed: the loss became NaN, the disk is full
    2   a mistake that the user can mend: a wrong key, a missing file
    130 interrupted
"""
from __future__ import annotations

import sys
from pathlib import Path
from typing import Callable


class UserError(Exception):
    """A mistake that the user can mend. The text is one line that names the file or key and the remedy."""


class RunFailed(Exception):
    """A run that cannot go on though it was asked for rightly. The text is one line that says what is left."""


def run_command(main: Callable[[list[str]], None]) -> None:
    """Runs `main` on the command line's arguments and exits with the status of the table above.

    Other exceptions are faults of ours and keep their traceback.
    """
    try:
        main(sys.argv[1:])
    except UserError as error:
        status, text = 2, str(error)
    except RunFailed as error:
        status, text = 1, str(error)
    except OSError as error:
        status, text = 1, f"{error.filename}: {error.strerror}" if error.filename else str(error)
    except KeyboardInterrupt:
        status, text = 130, "interrupted"
    else:
        return
    sys.stdout.flush()
    print(f"{Path(sys.argv[0]).name}: error: {' '.join(text.split())}", file=sys.stderr)
    sys.exit(status)


def shown(value: object, most: int = 60) -> str:
    """Return a value as an error's line quotes it: its repr, cut to `most` characters."""
    # A str or bytes is cut first: the repr of a huge one would be built whole.
    text = repr(value[:most + 1] if isinstance(value, (str, bytes)) else value)
    return text if len(text) <= most else text[:most - 3] + "..."


def clipped(text: str, most: int = 300) -> str:
    """Return a text as one line of at most `most` characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[:most - 3] + "..."


def name_some(names: list[str], most: int = 5) -> str:
    """The first few names for an error's line: 'a, b, c' or 'a, b, c, d, e and 12 more'."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def first_line(error: BaseException | str) -> str:
    """What an error says in its first line that is no rule or blank; its kind where it says nothing. At most 300 characters.

    MindSpore's errors are pages, with the reason on top.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip(" -")]
    return (lines or [type(error).__name__])[0][:300]
