"""What a campaign has done: one JSON line a trial, so that the same command goes on where it
stopped."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

Record = dict[str, Any]


class Ledger:
    """The trials that are done, by name, in FOLDER/trials.jsonl.

    A line is written by one call, so several processes may write to one ledger. A line that a kill
    cut short is ignored.
    """

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "trials.jsonl"

    def read(self) -> dict[str, Record]:
        """Return the records by their `trial`, in the order of writing; of two with one name the
        later."""
        found: dict[str, Record] = {}
        if self.file.exists():
            for line in self.file.read_text(encoding="utf-8").splitlines():
                try:
                    record = json.loads(line)
                except ValueError:
                    continue
                found[record["trial"]] = record
        return found

    def add(self, record: Record) -> None:
        """Append a record; it requires `trial`."""
        line = (
            "\n" + json.dumps(record) + "\n"
        )  # begins a line of its own, whatever a kill left before it
        file = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(file, line.encode())
        finally:
            os.close(file)
