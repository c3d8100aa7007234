"""What a job reads, brought to this machine where it lies in a store, and unpacked where it is an archive."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Callable

from dlinknet.cloud import transfer
from dlinknet.cloud.archives import is_archive, unpack
from dlinknet.cloud.node import Node
from dlinknet.cloud.store import Object, Store, is_remote, join, same, split
from dlinknet.console import LOG
from dlinknet.errors import UserError, clipped, name_some
from dlinknet.files.places import refuse_misnamed

WEIGHTS = (".ckpt", ".th", ".pth", ".safetensors", ".onnx", ".mindir")
DESCRIBED = (".onnx", ".mindir")  # exports, with FILE.json beside them
YAMLS = (".yaml", ".yml")
# What is recorded of a folder that was made.
MADE = {"state": dict, "source": str, "sizes": dict, "file": str}
CONTENT = ".content"  # ends the name of a folder into which an archive is unpacked that was brought

Choice = Callable[
    [str, str, "list[str]"], str
]  # (setting, what it said, names of files) -> one of them


class Inputs:
    """Files and folders by their URLs or paths.

    Args:
        node: the processes of this machine; one of them brings what all of them read.
        store: opens the store when the first URL needs it.
    """

    def __init__(self, node: Node, store: Callable[[], Store]):
        self.node, self.store = node, store

    def path(
        self, key: str, source: str, place: str, unpacks: bool = False, choose: Choice | None = None
    ) -> Path:
        """Where the file or folder lies on this machine.

        Args:
            key: the setting that names it, for the error's line.
            source: a URL, or a path, which is used as it is.
            place: below the node's folder, for what is brought or unpacked; what an earlier job brought there is replaced.
            unpacks: whether an archive, or a folder with nothing but one, means what is in it.
            choose: says which file a folder stands for.

        Raises:
            UserError: there is nothing, the store refuses it, or the archive cannot be unpacked.
            RunFailed: the transfer broke again and again.
        """
        if not is_remote(source):
            path = Path(os.path.expanduser(source))
            if not os.path.exists(path):
                raise UserError(
                    f"{key}: there is no {path}; a place in OBS is written obs://BUCKET/PATH"
                )
            archive = _archive(path) if unpacks else None
            if archive is None:
                return (
                    path / choose(key, source, os.listdir(path))
                    if choose and path.is_dir()
                    else path
                )
            state = {archive.name: [archive.stat().st_size, archive.stat().st_mtime_ns]}

            def fill(stage: Path) -> Path:
                return _unpacked(archive, stage, key, source)

            made = self.node.once(
                place, source, lambda last: self._fill(key, source, place, last, state, fill), MADE
            )
        else:
            made = self.node.once(
                place,
                same(source),
                lambda last: self._bring(key, source, place, last, unpacks, choose),
                MADE,
            )
        return self.node.folder / place / made["file"]

    def _bring(
        self, key: str, url: str, place: str, last: Any, unpacks: bool, choose: Choice | None
    ) -> dict[str, Any]:
        store = self.store()
        objects, file = self._listed(store, key, url)
        if choose and not file:
            name = choose(key, url, [name for name in objects if "/" not in name])
            url, file = join(url, name), name
            objects = {each: objects[each] for each in (name, f"{name}.json") if each in objects}

        def get(stage: Path) -> Path:
            said = f"{key}: {clipped(url, 100)} holds"
            refuse_misnamed(stage, objects, said, "rename or remove it")
            start, size = time.monotonic(), sum(what.size for what in objects.values())
            if file:
                for name, what in objects.items():
                    transfer.get_file(
                        store, key, join(url.rpartition("/")[0], name), what, stage / name
                    )
            else:
                transfer.get_files(store, key, url, objects, stage)
            LOG.info(
                "brought %d files, %.1f MB, from %s in %.0f s",
                len(objects),
                size / 1e6,
                url,
                time.monotonic() - start,
            )
            archive = _archive(stage) if unpacks else None
            return (
                stage
                if archive is None
                else _unpacked(archive, stage.with_suffix(CONTENT), key, url)
            )

        state = {name: asdict(what) for name, what in objects.items()}
        return {
            **self._fill(key, same(url), place, last, state, get),
            "file": "" if unpacks and is_archive(file) else file,
        }

    def _listed(self, store: Store, key: str, url: str) -> tuple[dict[str, Object], str]:
        """(the objects that a URL means, by their paths; the file's name where it means one)."""
        split(url)  # or it names no bucket
        name = url.rstrip("/").rpartition("/")[2]
        what = None if url.endswith("/") else transfer.stat(store, key, url)
        if what is None:
            found = transfer.contents(store, key, url)
            if not found:
                raise UserError(f"{key}: there is nothing at {url}")
            return found, ""
        found = {name: what}
        if name.endswith(DESCRIBED):
            beside = transfer.stat(store, key, f"{url}.json")
            found.update({f"{name}.json": beside} if beside else {})
        return found, name

    def _fill(
        self,
        key: str,
        source: str,
        place: str,
        last: Any,
        state: dict[str, Any],
        fill: Callable[[Path], Path],
    ) -> dict[str, Any]:
        """Makes a folder anew, unless it is as it was made of the same state; `fill` gets a place for it and returns its own."""
        target = self.node.folder / place
        if (
            last
            and last["state"] == state
            and last["source"] == source
            and _sizes(target) == last["sizes"]
        ):
            return last
        if target.exists() and any(target.iterdir()) and not self.node.last(place):
            raise UserError(
                f"cache_path: {target} holds files that no job brought, or its record "
                "is broken; remove it, or name another folder with --cache_path=FOLDER"
            )
        stage = target.with_name(f".{target.name}.part")
        both = (stage, stage.with_suffix(CONTENT))
        try:
            for left in both:  # by a job that was killed
                shutil.rmtree(left, ignore_errors=True)
            stage.mkdir(parents=True)
            full = fill(stage)
            shutil.rmtree(target, ignore_errors=True)
            os.replace(full, target)
        finally:
            for left in both:
                shutil.rmtree(left, ignore_errors=True)
        return {"state": state, "source": source, "sizes": _sizes(target), "file": ""}


def data_root(folder: Path) -> Path:
    """The folder with the data: an archive often holds one folder with everything in it."""
    while True:
        entries = (
            [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
            if folder.is_dir()
            else []
        )
        if len(entries) != 1 or not entries[0].is_dir():
            return folder
        folder = entries[0]


def the_weights(key: str, source: str, names: list[str]) -> str:
    """The weights that a folder stands for: its *_best.ckpt, else its only file that can be some.

    Raises:
        UserError: there is none, or more than one.
    """
    files = _ending(names, WEIGHTS)
    return _only(
        key, source, [name for name in files if name.endswith("_best.ckpt")] or files, WEIGHTS
    )


def the_yaml(key: str, source: str, names: list[str]) -> str:
    """The only YAML file of a folder. UserError where there is none, or more than one."""
    return _only(key, source, _ending(names, YAMLS), YAMLS)


def _ending(names: list[str], types: tuple[str, ...]) -> list[str]:
    return sorted(
        name for name in names if name.lower().endswith(types) and not name.startswith(".")
    )


def _only(key: str, source: str, names: list[str], types: tuple[str, ...]) -> str:
    if len(names) != 1:
        what = (
            f"{len(names)} files to choose from ({name_some(names)})"
            if names
            else f"no file that ends with {', '.join(types)}"
        )
        raise UserError(f"{key}: {source} holds {what}; name the file")
    return names[0]


def _archive(path: Path) -> Path | None:
    """The archive that a path means: itself, or the one thing in it."""
    if path.is_file():
        return path if is_archive(path.name) else None
    entries = [entry for entry in path.iterdir() if not entry.name.startswith(".")]
    return (
        entries[0]
        if len(entries) == 1 and entries[0].is_file() and is_archive(entries[0].name)
        else None
    )


def _unpacked(archive: Path, folder: Path, key: str, source: str) -> Path:
    folder.mkdir(exist_ok=True)
    unpack(archive, folder, key, source)
    return folder


def _sizes(folder: Path) -> dict[str, int]:
    return {
        str(file.relative_to(folder)): file.stat().st_size
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
