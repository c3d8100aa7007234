"""Files between a store and this machine: tried again where a transfer breaks, and compared before they count as there."""

from __future__ import annotations

import glob
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Callable, TypeVar

from dlinknet.cloud.store import THREADS, Broken, Object, Refused, Store, join
from dlinknet.console import LOG
from dlinknet.errors import RunFailed, UserError
from dlinknet.files.atomic import beside, digest

T = TypeVar("T")
PAUSES = (0.5, 1, 2, 4, 8, 16)  # seconds before each further try


def persist(key: str, url: str, action: Callable[[], T]) -> T:
    """What `action` returns, which is called again, after growing pauses, while it raises Broken.

    Args:
        key: the setting that named the URL, for the error's line.

    Raises:
        UserError: the store refuses it.
        RunFailed: the last try was broken too.
    """
    for pause in (*PAUSES, None):
        try:
            return action()
        except Refused as error:
            raise UserError(f"{key}: {url}: {error}") from None
        except Broken as error:
            if pause is None:
                raise RunFailed(
                    f"{key}: {url}: {error} (tried {len(PAUSES) + 1} times in {sum(PAUSES):g} s)"
                ) from None
            LOG.info("%s: %s; trying again in %g s", url, error, pause)
            time.sleep(pause)
    raise AssertionError("the last pause is None")


def stat(store: Store, key: str, url: str) -> Object | None:
    """The object of a URL; None where there is none."""
    return persist(key, url, lambda: store.stat(url))


def contents(store: Store, key: str, url: str) -> dict[str, Object]:
    """Every object below a folder, by its path from there.

    Raises:
        UserError: a path leads out of the folder.
    """
    found = store.list(url, lambda request: persist(key, url, request))
    for name in found:
        if not is_inside(name):
            raise UserError(
                f"{key}: {url} holds '{name}', which leads out of its folder; rename or remove it"
            )
    return found


def is_inside(name: str) -> bool:
    """Whether a path with '/' between its parts stays below where it starts."""
    path = PurePosixPath(name)
    return not (
        path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or not path.parts
    )


def get_file(store: Store, key: str, url: str, what: Object, file: Path) -> None:
    """Brings one object; `file` appears when it is whole."""
    part = beside(file, "part")

    def get() -> None:
        store.get(url, part, what.size)
        _compare(_described(part, what), what)
        os.replace(part, file)

    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        persist(key, url, get)
    finally:
        for left in file.parent.glob(f"{glob.escape(part.name)}*"):  # the SDK has files beside it
            left.unlink(missing_ok=True)


def get_files(store: Store, key: str, url: str, objects: dict[str, Object], folder: Path) -> None:
    """Brings these objects of a folder into `folder`, which is empty."""
    try:
        store.get_folder(url, folder)
    except (Broken, Refused) as error:
        LOG.info("%s: %s; bringing its files one by one", url, error)

    def get(name: str) -> None:
        file, what = folder / name, objects[name]
        if not file.is_file() or _described(file, what) != what:
            get_file(store, key, join(url, name), what, file)

    with ThreadPoolExecutor(THREADS) as pool:
        jobs = [pool.submit(get, name) for name in objects]
        try:
            for job in jobs:
                job.result()
        finally:
            for job in jobs:  # one that failed ends the rest
                job.cancel()


def put_file(store: Store, key: str, file: Path, url: str) -> None:
    """Makes an object of a file, which nobody writes to meanwhile."""
    size, md5 = file.stat().st_size, digest(file, "md5")

    def put() -> None:
        store.put(file, url)
        found = stat(store, key, url)
        if found is None:
            raise Broken("it is not there after it was sent")
        _compare(found, Object(size, md5 if found.md5 else ""))

    persist(key, url, put)


def probe(store: Store, key: str, url: str, folder: Path) -> None:
    """Makes sure that files can be put below a URL, by one that is removed again; before hours are spent on them.

    Args:
        folder: where it is written first.
    """
    file = folder / f".dlinknet_{os.getpid()}"
    file.write_text("Can this be written?\n", encoding="utf-8")
    try:
        put_file(store, key, file, join(url, file.name))
        persist(key, url, lambda: store.remove(join(url, file.name)))
    finally:
        file.unlink()


def _compare(came: Object, expected: Object) -> None:
    if came.size != expected.size:
        raise Broken(f"{came.size} of {expected.size} bytes came")
    if came.md5 != expected.md5:
        raise Broken("its checksum is another one")


def _described(file: Path, like: Object) -> Object:
    """A file as a store would describe it; its checksum where `like` has one, and only where the sizes are equal."""
    size = file.stat().st_size if file.exists() else 0
    return Object(size, digest(file, "md5") if like.md5 and size == like.size else "")
