"""Let one of a machine's processes do a work, while the others wait for its outcome."""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable

from dlinknet.console import LOG
from dlinknet.errors import InputError, RunFailed, UserError
from dlinknet.files.atomic import write_text
from dlinknet.files.texts import read_record

RECORD, LOCK = ".dlinknet_job.json", ".dlinknet_job.lock"
LOOK = 0.2  # seconds between two tries to get the lock
TELL = 30  # seconds between two lines of a process that waits


class CacheError(InputError):
    """The folder that the processes share cannot be used."""


# Errors that are recorded by their kind: a class stands before those that it inherits from.
ERRORS: dict[str, type[Exception]] = {
    "CacheError": CacheError,
    "InputError": InputError,
    "UserError": UserError,
    "RunFailed": RunFailed,
    "OSError": OSError,
}


class Node:
    """The processes of this machine that share a folder.

    An flock guards the work, so it is released even if its holder crashes; then the next process
    does the work. The outcome is recorded with its time. Processes that started before that time
    use the recorded outcome, also a failure. Later processes do the work again.

    Args:
        folder: the folder that they share. `once` makes it.
    """

    def __init__(self, folder: Path):
        self.folder, self.start = folder, time.time()

    def once(
        self, place: str, source: str, action: Callable[[Any], Any], fields: Mapping[str, type] = {}
    ) -> Any:
        """Return the result of `action`, which one of the processes calls.

        Args:
            place: the name of the result.
            source: the name of the input. Another source is other work.
            action: receives the result of the last call for this place, in this run or an earlier
                one; None if there was none or it failed. Returns a value that JSON can hold.
            fields: the keys and types of the dict that `action` returns. A recorded value without
                them counts as none.

        Raises:
            CacheError: the folder cannot be made or written.
            UserError, RunFailed, OSError: `action` raised it, in this process or in another.
        """
        self._make_folder()
        with self._alone(place):
            last = self.last(place)
            if "value" in last and not _has(last["value"], fields):
                last = {}
            if last.get("source") == source and self.start < last["time"] <= time.time():
                return _outcome(last)
            try:
                value = action(last.get("value"))
            except tuple(ERRORS.values()) as error:
                kind = next(name for name, each in ERRORS.items() if isinstance(error, each))
                self._write(place, source, {"error": kind, "text": str(error)})
                raise
            self._write(place, source, {"value": value})
            return value

    def last(self, place: str) -> dict[str, Any]:
        """Return the record of a place: source, time, value or error; empty if there is none."""
        return self._read().get(place, {})

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / LOCK).touch()
        except OSError as error:
            raise CacheError(
                self.folder, f"({error.strerror}); name another folder", "cannot write to"
            ) from None

    def _read(self) -> dict[str, dict[str, Any]]:
        """Return the record of each place. A broken one counts as none."""
        record = read_record(self.folder / RECORD)
        if not isinstance(record, dict):
            return {}
        return {place: entry for place, entry in record.items() if _is_entry(entry)}

    def _write(self, place: str, source: str, outcome: dict[str, Any]) -> None:
        entry = {"source": source, "time": time.time(), **outcome}
        write_text(self.folder / RECORD, json.dumps({**self._read(), place: entry}))

    @contextmanager
    def _alone(self, place: str) -> Iterator[None]:
        """Hold the lock during the block."""
        with open(self.folder / LOCK, encoding="utf-8") as lock:
            told = time.monotonic()
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    time.sleep(LOOK)
                except OSError:
                    # A file system without locks: work that is done twice has the same result.
                    break
                if time.monotonic() - told > TELL:
                    told = time.monotonic()
                    LOG.info("waiting for the process of this machine that downloads %s", place)
            yield


def _has(value: Any, fields: Mapping[str, type]) -> bool:
    """Return whether a value is a dict with these keys and types; True without keys."""
    return not fields or (
        isinstance(value, dict)
        and all(isinstance(value.get(name), kind) for name, kind in fields.items())
    )


def _is_entry(entry: Any) -> bool:
    """Return whether a value is a record of a place."""
    if not _has(entry, {"source": str}) or type(entry.get("time")) not in (int, float):
        return False
    if "error" in entry:
        return _has(entry, {"error": str, "text": str}) and entry["error"] in ERRORS
    return "value" in entry


def _outcome(entry: dict[str, Any]) -> Any:
    """Return the value that a record holds, or raise the error that it holds."""
    if "error" not in entry:
        return entry["value"]
    kind, text = ERRORS[entry["error"]], entry["text"]
    raise kind(text, "") if issubclass(kind, InputError) else kind(text)
