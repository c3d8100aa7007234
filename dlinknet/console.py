"""Output for people: log lines, a progress bar on a terminal, tables in columns."""

from __future__ import annotations

import logging
import os
import re
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from dlinknet.errors import RunFailed

LOG = logging.getLogger("dlinknet")
PLAIN_LINE_SECONDS = 30  # time between two lines of progress if there is no terminal


class _TerminalHandler(logging.Handler):
    """Log lines on stdout, above a progress bar.

    If stdout cannot be written, this handler writes one line to the other logs and no more lines.
    """

    fault = ""  # the reason if stdout cannot be written

    def emit(self, record: logging.LogRecord) -> None:
        if self.fault:
            return
        try:
            tqdm.write(self.format(record), file=sys.stdout)
            sys.stdout.flush()
        except OSError as error:
            self.fault = f"standard output cannot be written any more: {error.strerror}"
            LOG.info("%s", self.fault)


def start_log() -> None:
    """Send the log to stdout. Each line begins with date and time."""
    for handler in list(LOG.handlers):
        LOG.removeHandler(handler)
        handler.close()
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
    _add(_TerminalHandler())


class _FileHandler(logging.FileHandler):
    """Log lines in a file.

    If the file cannot be written, this handler ends with one line on the terminal. The run goes on.
    """

    def handleError(self, record: logging.LogRecord) -> None:
        LOG.removeHandler(self)
        LOG.info("%s cannot be written any more: %s", self.baseFilename, sys.exc_info()[1])


def log_to_file(file: Path) -> None:
    """Send the log to a file too."""
    faults = [
        handler.fault
        for handler in LOG.handlers
        if isinstance(handler, _TerminalHandler) and handler.fault
    ]
    _add(_FileHandler(file, encoding="utf-8", errors="backslashreplace"))
    for fault in faults:
        LOG.info("%s", fault)


def show(text: str) -> None:
    """Print the result of a command. Call this after all files are written.

    Raises:
        RunFailed: stdout cannot be written.
    """
    try:
        print(text, flush=True)
    except OSError as error:
        raise RunFailed(
            f"the result cannot be printed: standard output: {error.strerror}"
        ) from None


def _add(handler: logging.Handler) -> None:
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    LOG.addHandler(handler)


def clock(seconds: float) -> str:
    """Return seconds as mm:ss or h:mm:ss."""
    return tqdm.format_interval(round(seconds))


def columns(lines: Sequence[Sequence[str]], right: int = 0) -> str:
    """Return a table as text. Columns are as wide as their longest word and two blanks apart.

    Args:
        lines: the words of each line, the same number in all lines.
        right: the number of columns at the end that are aligned to the right, as numbers are.
    """
    widths = [max(map(len, column)) for column in zip(*lines)]
    left = len(widths) - right
    return "\n".join(
        "  ".join(
            word.ljust(width) if number < left else word.rjust(width)
            for number, (word, width) in enumerate(zip(line, widths))
        ).rstrip()
        for line in lines
    )


def command_line(arguments: Sequence[str]) -> str:
    """Return a command line for a log.

    The values of options whose names contain key, secret, token or password become ***.
    """
    shown, hides = [], False
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        secret = argument.startswith("--") and re.search("key|secret|token|password", name, re.I)
        shown.append("***" if hides else f"{name}=***" if secret and equals else argument)
        hides = bool(secret and not equals)
    return shlex.join(shown)


class Progress:
    """Progress of a long loop: a bar on a terminal, otherwise a log line every 30 s.

    Bar and lines show the rate and the time left.

    Args:
        total: the number of images, or of other units.
        title: the name of the work, at the start of bar and lines.
        done: the number of units that an earlier process finished.
        unit: the name of the units.
    """

    def __init__(self, total: int, title: str, done: int = 0, unit: str = "images"):
        self.total, self.title, self.unit = total, title, unit
        self.done = self.before = done
        self.start = self.spoken = time.monotonic()
        self.bar = tqdm(
            total=total,
            initial=done,
            desc=title,
            unit=f" {unit}",
            leave=False,
            dynamic_ncols=True,
            disable=not sys.stderr.isatty(),
        )

    def update(self, count: int, note: str = "") -> None:
        """Count `count` more units, and show `note` beside the progress."""
        self.done += count
        self.bar.set_postfix_str(note, refresh=False)
        self.bar.update(count)
        now = time.monotonic()
        if self.bar.disable and now - self.spoken >= PLAIN_LINE_SECONDS and self.done < self.total:
            self.spoken = now
            rate = (self.done - self.before) / (now - self.start)
            LOG.info(
                "%s: %d of %d %s%s, %.1f %s/s, %s left",
                self.title,
                self.done,
                self.total,
                self.unit,
                f", {note}" if note else "",
                rate,
                self.unit,
                clock((self.total - self.done) / rate),
            )

    def drop(self, count: int) -> None:
        """Take `count` units from the total: they will not be done."""
        self.total -= count
        self.bar.total = self.total

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()


@contextmanager
def quiet(native: bool = False) -> Iterator[None]:
    """Silence MindSpore's log during the block.

    MindSpore logs a failure in several lines before it raises the error that the command reports.

    Args:
        native: also silence the C++ code, which writes to stderr directly.
    """
    logging.disable(logging.CRITICAL)
    sys.stderr.flush()
    stderr = os.dup(2) if native else None
    if native:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        os.close(null)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        if stderr is not None:
            os.dup2(stderr, 2)
            os.close(stderr)
