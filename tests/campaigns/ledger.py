"""The record of a campaign: one JSON line per trial. The same command continues from it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

Record = dict[str, Any]


class Ledger:
    """The trials that are done, by name, in FOLDER/trials.jsonl.

    One call writes a whole line, so several processes may write to one ledger. A line that a kill
    cut short is ignored.
    """

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "trials.jsonl"

    def read(self) -> dict[str, Record]:
        """Return the records by their `trial`, in the order of writing.

        Of two records with the same name, the later one counts.
        """
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
        """Append a record, which must have a `trial`."""
        line = (
            "\n" + json.dumps(record) + "\n"
        )  # starts a new line, because a kill may have left half a line before it
        file = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(file, line.encode())
        finally:
            os.close(file)
