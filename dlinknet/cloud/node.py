"""What only one of the processes of a machine does, while the others wait for how it ends."""

from __future__ import annotations

import fcntl
import json
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping

from dlinknet.console import LOG
from dlinknet.errors import RunFailed, UserError
from dlinknet.files.atomic import write_text
from dlinknet.files.texts import read_record

RECORD, LOCK = ".dlinknet_job.json", ".dlinknet_job.lock"
LOOK = 0.2  # seconds between two tries to get the lock
TELL = 30  # seconds between two lines of one who waits
ERRORS = {"UserError": UserError, "RunFailed": RunFailed, "OSError": OSError}


def _has(value: Any, fields: Mapping[str, type]) -> bool:
    """Return whether a value is a dict with these keys and types; without any, each value is."""
    return (
        not fields
        or isinstance(value, dict)
        and all(isinstance(value.get(key), kind) for key, kind in fields.items())
    )


def _is_entry(entry: Any) -> bool:
    """Return whether a value is what `once` writes of a place."""
    if not _has(entry, {"source": str}) or type(entry.get("time")) not in (int, float):
        return False
    if "error" in entry:
        return _has(entry, {"error": str, "text": str}) and entry["error"] in ERRORS
    return "value" in entry


class Node:
    """The processes of this machine that share a folder.

    The lock is the kernel's and ends with the process that holds it, however it ends; then the next one does the work. How it
    ended is kept in a record with its time: who was there before that takes it as it is, a failure too; a later one does the
    work himself.

    Args:
        folder: what they share; it is made when the first work is done.
    """

    def __init__(self, folder: Path):
        self.folder, self.start = folder, time.time()

    def once(
        self, place: str, source: str, action: Callable[[Any], Any], fields: Mapping[str, type] = {}
    ) -> Any:
        """What `action` returned in the process that called it.

        Args:
            place: what is made.
            source: what it is made of; another source makes it anew.
            action: gets what the last call for this place returned, in this run or an earlier one (None where it failed or there
                was none), and returns something that JSON holds.
            fields: the keys and types of the dict that it returns; a recorded value without them
                counts as none.

        Raises:
            UserError, RunFailed, OSError: what `action` raised, there or here.
            UserError: the folder cannot be made, or not be written to; it names cache_path.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / LOCK).touch()
        except OSError as error:
            raise UserError(
                f"cache_path: cannot write to {self.folder} ({error.strerror}); name another folder with "
                "--cache_path=FOLDER"
            ) from None
        with self._alone(place):
            record = self._read()
            last = record.get(place, {})
            if "value" in last and not _has(last["value"], fields):
                last = {}
            if last.get("source") == source and self.start < last["time"] <= time.time():
                if "error" in last:
                    raise ERRORS[last["error"]](last["text"])
                return last["value"]
            try:
                value = action(last.get("value"))
            except tuple(ERRORS.values()) as error:
                kind = next(name for name, each in ERRORS.items() if isinstance(error, each))
                self._write(
                    {
                        **record,
                        place: {
                            "source": source,
                            "time": time.time(),
                            "error": kind,
                            "text": str(error),
                        },
                    }
                )
                raise
            self._write({**record, place: {"source": source, "time": time.time(), "value": value}})
            return value

    def last(self, place: str) -> dict[str, Any]:
        """The record of a place: source, time, and value or error; empty where there is none."""
        return self._read().get(place, {})

    def _read(self) -> dict[str, Any]:
        """Return the record of each place; what is broken counts as none."""
        record = read_record(self.folder / RECORD)
        if not isinstance(record, dict):
            return {}
        return {place: entry for place, entry in record.items() if _is_entry(entry)}

    def _write(self, record: dict[str, Any]) -> None:
        write_text(self.folder / RECORD, json.dumps(record))

    @contextmanager
    def _alone(self, place: str) -> Iterator[None]:
        with open(self.folder / LOCK, "r", encoding="utf-8") as lock:
            told = time.monotonic()
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    time.sleep(LOOK)
                except (
                    OSError
                ):  # a file system without locks: what is done twice is done the same way
                    break
                if time.monotonic() - told > TELL:
                    told = time.monotonic()
                    LOG.info("waiting for the process of this machine that brings %s", place)
            yield
