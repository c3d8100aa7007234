"""Transfer files between a store and this machine.

A transfer that breaks is repeated. A file counts as transferred if its size and checksum agree.
"""

from __future__ import annotations

import glob
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable, TypeVar

from dlinknet.cloud.names import need_inside
from dlinknet.cloud.store import THREADS, Broken, Object, Refused, Store, join
from dlinknet.console import LOG
from dlinknet.errors import InputError, RunFailed
from dlinknet.files.atomic import beside, digest

T = TypeVar("T")
PAUSES = (0.5, 1, 2, 4, 8, 16)  # seconds before each further try


def persist(url: str, action: Callable[[], T]) -> T:
    """Call `action`, and repeat it after growing pauses while it raises Broken. Return its result.

    Args:
        url: the URL of the transfer, for the log and the error's line.

    Raises:
        InputError: the store refuses the request.
        RunFailed: the last call raised Broken too.
    """
    for pause in (*PAUSES, None):
        try:
            return action()
        except Refused as error:
            raise InputError(url, f": {error}") from None
        except Broken as error:
            if pause is None:
                raise RunFailed(
                    f"{url}: {error} (tried {len(PAUSES) + 1} times in {sum(PAUSES):g} s)"
                ) from None
            LOG.info("%s: %s; trying again in %g s", url, error, pause)
            time.sleep(pause)
    raise AssertionError("the last pause is None")


def stat(store: Store, url: str) -> Object | None:
    """Return the object of a URL; None if there is none."""
    return persist(url, lambda: store.stat(url))


def contents(store: Store, url: str) -> dict[str, Object]:
    """Return every object below a folder, by its path below this folder.

    Raises:
        InputError: a path leads out of the folder.
    """
    found = store.list(url, lambda request: persist(url, request))
    need_inside(found, url, "rename or remove it")
    return found


def get_file(store: Store, url: str, expected: Object, file: Path) -> None:
    """Download one object. `file` appears when it is whole.

    Args:
        expected: the size and the checksum that the file must have.
    """
    part = beside(file, "part")

    def get() -> None:
        store.get(url, part, expected.size)
        _compare(_described(part, expected), expected)
        os.replace(part, file)

    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        persist(url, get)
    finally:
        for left in file.parent.glob(f"{glob.escape(part.name)}*"):  # the SDK adds files
            left.unlink(missing_ok=True)


def get_files(store: Store, url: str, objects: dict[str, Object], folder: Path) -> None:
    """Download these objects of a folder into `folder`, which is empty."""
    try:
        store.get_folder(url, folder)
    except (Broken, Refused) as error:
        LOG.info("%s: %s; downloading its files one by one", url, error)

    def get(name: str) -> None:
        file, expected = folder / name, objects[name]
        if not file.is_file() or _described(file, expected) != expected:
            get_file(store, join(url, name), expected, file)

    with ThreadPoolExecutor(THREADS) as pool:
        jobs = [pool.submit(get, name) for name in objects]
        try:
            for job in jobs:
                job.result()
        finally:
            for job in jobs:  # the first failure ends the rest
                job.cancel()


def put_file(store: Store, file: Path, url: str) -> None:
    """Upload a file, which must not change during the upload."""
    size, md5 = file.stat().st_size, digest(file, "md5")

    def put() -> None:
        store.put(file, url)
        found = stat(store, url)
        if found is None:
            raise Broken("it is not there after it was sent")
        _compare(found, Object(size, md5 if found.md5 else ""))

    persist(url, put)


def probe(store: Store, url: str, folder: Path) -> None:
    """Check that files can be uploaded below a URL, before hours of work are spent on them.

    Args:
        folder: a local folder for a small file, which is uploaded and then removed from both.

    Raises:
        InputError, RunFailed: an upload is not possible.
    """
    file = folder / f".dlinknet_{os.getpid()}"
    file.write_text("Can this be written?\n", encoding="utf-8")
    try:
        put_file(store, file, join(url, file.name))
        persist(url, lambda: store.remove(join(url, file.name)))
    finally:
        file.unlink()


def _compare(came: Object, expected: Object) -> None:
    """Raise Broken if other bytes came than were expected."""
    if came.size != expected.size:
        raise Broken(f"{came.size} of {expected.size} bytes came")
    if came.md5 != expected.md5:
        raise Broken("its checksum is another one")


def _described(file: Path, like: Object) -> Object:
    """Return a file as a store would describe it.

    The result has a checksum if `like` has one and the sizes are equal.
    """
    size = file.stat().st_size if file.exists() else 0
    return Object(size, digest(file, "md5") if like.md5 and size == like.size else "")
