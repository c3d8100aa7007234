"""What a job writes, taken to the store while it runs: after each new file, at the end, and when the job is ended from outside."""

from __future__ import annotations

import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dlinknet.cloud import transfer
from dlinknet.cloud.store import THREADS, Store, join
from dlinknet.console import LOG
from dlinknet.errors import RunFailed, UserError

KEY = "train_url"
LOOK = 2.0  # seconds between two looks at the folder
REST = 60.0  # seconds until the next look where a file could not be sent
NEWEST = "_last.ckpt"  # goes last: what it needs is there before it
LEFT = (
    "_previous.ckpt",
    "_damaged.ckpt",
)  # of use beside a damaged file only, which the store has not
State = tuple[int, int, int]


class Outputs:
    """The files below a folder, and how much of them the store has.

    A look takes what has changed, all of one moment, and sends it; each file appears whole in the store. While the job runs a
    file that cannot be sent is tried again after a rest, at the end it makes the job fail.

    Args:
        store, url: where to. A file keeps its path from `folder`.
        stage: an empty folder beside `folder` for the moment's files.
        whole: whether every file but logs appears whole, by renaming; otherwise one is taken when it has stopped changing.
        known: paths that the store has already, as they are now.
    """

    def __init__(
        self, store: Store, folder: Path, url: str, stage: Path, whole: bool, known: list[str]
    ):
        self.store, self.folder, self.url, self.stage, self.whole = store, folder, url, stage, whole
        self.sent = {name: state for name, state in self._states().items() if name in known}
        self.before: dict[str, State] = {}  # at the last look
        self.busy = threading.Lock()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._watch, name="outputs", daemon=True)

    def start(self) -> None:
        """Looks at the folder from now on."""
        self.thread.start()

    def finish(self) -> None:
        """Sends what is left.

        Raises:
            UserError, RunFailed: it cannot; the line says where the outputs are.
        """
        self.ended.set()
        try:
            self._send(settled=False)
        except (UserError, RunFailed) as error:
            raise type(error)(f"{error}; the outputs are in {self.folder}") from None
        LOG.info("the outputs are in %s", self.url)

    def rescue(self) -> str:
        """Sends what is whole before the job is ended from outside; returns where the outputs are, or why they are not there."""
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
                    LOG.info("%s; it is tried again every %g s", error, REST)
                rest, told = REST, str(error)

    def _send(self, settled: bool) -> None:
        with self.busy:
            now = self._states()
            # The newest checkpoint's moment comes first: what stands beside it may be newer than it, never older.
            changed = sorted(
                (
                    name
                    for name, state in now.items()
                    if self.sent.get(name) != state
                    and not (settled and self.before.get(name) != state)
                ),
                key=lambda name: not name.endswith(NEWEST),
            )
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
        transfer.put_file(self.store, KEY, self.stage / name, join(self.url, name))
        (self.stage / name).unlink()

    def _take(self, name: str) -> bool:
        """Keeps this moment's content of a file in the stage; False where the file has gone."""
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

    def _states(self) -> dict[str, State]:
        """Every file that goes to the store, as it is; names that begin with a dot are the commands' own bookkeeping."""
        found = {}
        for file in sorted(self.folder.rglob("*")):
            name = file.relative_to(self.folder)
            if any(part.startswith(".") for part in name.parts) or file.name.endswith(LEFT):
                continue
            try:
                if file.is_file():
                    state = file.stat()
                    found[str(name)] = (state.st_mtime_ns, state.st_size, state.st_ino)
            except FileNotFoundError:
                continue
        return found


def _link_or_copy(file: Path, copy: Path) -> None:
    try:
        os.link(file, copy)
    except OSError:  # a file system without links, or no such file
        shutil.copyfile(file, copy)
