"""Outputs of a job: uploaded to the store while it runs, at its end, and when a signal ends it."""

from __future__ import annotations

import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from dlinknet.cloud import transfer
from dlinknet.cloud.store import THREADS, Store, join
from dlinknet.console import LOG
from dlinknet.errors import InputError, RunFailed, UserError
from dlinknet.files.states import FileState, state_of

LOOK = 2.0  # seconds between two looks at the folder
REST = 60.0  # seconds until the next look after a file could not be sent
NEWEST = "_last.ckpt"  # uploaded last: it refers to files that must be there before
# Never uploaded: the first two are needed only when a local file is damaged, the last one only
# where the same files lie.
LEFT = ("_previous.ckpt", "_damaged.ckpt", "_checked.json")
STAGE = ".upload"  # beside the outputs: the files of one moment


class Outputs:
    """Upload the files below a folder, while a job runs and at its end.

    A thread looks at the folder every LOOK seconds. It collects the changed files as they are at
    this moment, and uploads them. Each appears whole in the store. While the job runs, a file that
    could not be uploaded is tried again after a rest. At the end such a file makes the job fail.

    Args:
        store: receives the files.
        folder: the local files. A file keeps its path below this folder.
        url: the folder in the store.
        whole: True if every file except logs appears whole, by renaming. If False, a file is
            uploaded after it has stopped changing.
        known: the paths of files that the store already has in their present state.
    """

    def __init__(self, store: Store, folder: Path, url: str, whole: bool, known: list[str]):
        self.store, self.folder, self.url, self.whole = store, folder, url, whole
        self.stage = folder.with_name(STAGE)
        self.sent = {name: state for name, state in self._states().items() if name in known}
        self.before: dict[str, FileState] = {}  # the states at the last look
        self.busy = threading.Lock()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._watch, name="outputs", daemon=True)

    def start(self) -> None:
        """Look at the folder from now on."""
        self.thread.start()

    def finish(self) -> None:
        """Stop the thread, and upload all files that the store does not have.

        Raises:
            InputError, RunFailed: an upload failed. The line says where the outputs are.
        """
        self.ended.set()
        try:
            self._send(settled=False)
        except InputError as error:
            raise InputError(error, f"; the outputs are in {self.folder}") from None
        except RunFailed as error:
            raise RunFailed(f"{error}; the outputs are in {self.folder}") from None
        LOG.info("the outputs are in %s", self.url)

    def rescue(self) -> str:
        """Upload all whole files, before a signal ends the job.

        Return the place of the outputs, or the reason why they are not in the store, in words.
        """
        self.ended.set()
        try:
            self._send(settled=not self.whole)
            return f"the outputs are in {self.url}"
        except (UserError, RunFailed, OSError) as error:
            return f"{error}; the outputs are in {self.folder}"

    def _watch(self) -> None:
        rest, told = LOOK, ""
        while not self.ended.wait(rest):
            try:
                self._send(settled=not self.whole)
                rest, told = LOOK, ""
            except (UserError, RunFailed, OSError) as error:
                if str(error) != told:
                    LOG.info("%s; the upload is tried again every %g s", error, REST)
                rest, told = REST, str(error)

    def _send(self, settled: bool) -> None:
        """Upload the changed files.

        Args:
            settled: leave out a file that has changed since the last look.
        """
        with self.busy:
            now = self._states()
            changed = [
                name
                for name, state in now.items()
                if self.sent.get(name) != state and not (settled and self.before.get(name) != state)
            ]
            # The newest checkpoint is collected first, so no file beside it is older.
            changed.sort(key=lambda name: not name.endswith(NEWEST))
            self.before = now
            try:
                taken = [name for name in changed if self._take(name)]
                last = [name for name in taken if name.endswith(NEWEST)]
                for together in ([name for name in taken if name not in last], last):
                    with ThreadPoolExecutor(THREADS) as pool:
                        for name, _ in zip(together, pool.map(self._put, together)):
                            self.sent[name] = now[name]
            finally:
                shutil.rmtree(self.stage, ignore_errors=True)

    def _put(self, name: str) -> None:
        transfer.put_file(self.store, self.stage / name, join(self.url, name))
        (self.stage / name).unlink()

    def _take(self, name: str) -> bool:
        """Keep the present content of a file in the stage. Return False if the file has gone."""
        copy = self.stage / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        try:
            if name.endswith(".log"):  # others are replaced when they change; a log grows
                shutil.copyfile(self.folder / name, copy)
            else:
                _link_or_copy(self.folder / name, copy)
        except FileNotFoundError:
            return False
        return True

    def _states(self) -> dict[str, FileState]:
        """Return the state of every file for the store.

        Files whose names begin with a dot are left out: they are the commands' own records.
        """
        found = {}
        for file in sorted(self.folder.rglob("*")):
            name = file.relative_to(self.folder)
            if any(part.startswith(".") for part in name.parts) or file.name.endswith(LEFT):
                continue
            with suppress(FileNotFoundError):
                if file.is_file():
                    found[str(name)] = state_of(file)
        return found


def _link_or_copy(file: Path, copy: Path) -> None:
    try:
        os.link(file, copy)
    except OSError:  # a file system without links, or no such file
        shutil.copyfile(file, copy)
