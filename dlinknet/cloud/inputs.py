"""Inputs of a job: downloaded from a store to this machine, and unpacked if they are archives."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Callable

from dlinknet.cloud import transfer
from dlinknet.cloud.archives import is_archive, unpack
from dlinknet.cloud.node import CacheError, Node
from dlinknet.cloud.store import Object, Store, canonical, is_remote, join, split
from dlinknet.console import LOG
from dlinknet.errors import InputError, clipped, name_some
from dlinknet.files.places import refuse_misnamed

WEIGHTS = (".ckpt", ".th", ".pth", ".safetensors", ".onnx", ".mindir")
DESCRIBED = (".onnx", ".mindir")  # exports, with FILE.json beside them
YAMLS = (".yaml", ".yml")
# The record of a downloaded or unpacked folder.
MADE = {"state": dict, "source": str, "sizes": dict, "file": str}
CONTENT = ".content"  # suffix of the folder into which a downloaded archive is unpacked

Choice = Callable[[str, "list[str]"], str]  # (a folder, its files) -> the file that is meant


@dataclass(frozen=True)
class Found:
    """The objects that a URL means.

    url: of the folder, or of the file.
    objects: by their paths in the folder.
    file: the file's name if the URL means one; else empty.
    """

    url: str
    objects: dict[str, Object]
    file: str = ""

    @property
    def state(self) -> dict[str, Any]:
        """The objects as a record holds them: any change shows."""
        return {name: asdict(described) for name, described in self.objects.items()}


class Inputs:
    """Files and folders by their URLs or paths.

    Args:
        node: the processes of this machine. One of them downloads the inputs for all.
        store: opens the store when the first URL needs it.
    """

    def __init__(self, node: Node, store: Callable[[], Store]):
        self.node, self.store = node, store

    def path(
        self, source: str, place: str, unpacks: bool = False, choose: Choice | None = None
    ) -> Path:
        """Return the path of a file or folder on this machine.

        Args:
            source: a URL, or a path, which is used as it is.
            place: the path below the node's folder for downloaded or unpacked files. They replace
                the files of an earlier job there.
            unpacks: True to unpack an archive, or a folder that holds one archive only.
            choose: names the file that a folder stands for.

        Raises:
            InputError: nothing is at the source, the store refuses the request, or the archive
                cannot be unpacked.
            CacheError: the node's folder cannot be used.
            RunFailed: the transfer broke again and again.
        """
        if is_remote(source):

            def bring(last: Any) -> dict[str, Any]:
                return self._bring(self._find(source, choose), place, last, unpacks)

            made = self.node.once(place, canonical(source), bring, MADE)
            return self.node.folder / place / made["file"]
        path = Path(os.path.expanduser(source))
        if not os.path.exists(path):
            remedy = "; a place in OBS is written obs://BUCKET/PATH"
            raise InputError(path, remedy, before="there is no")
        archive = _archive(path) if unpacks else None
        if archive:
            return self._unpack(archive, source, place)
        return path / choose(source, os.listdir(path)) if choose and path.is_dir() else path

    def _unpack(self, archive: Path, source: str, place: str) -> Path:
        """Return the folder into which an archive of this machine is unpacked."""
        state = {archive.name: [archive.stat().st_size, archive.stat().st_mtime_ns]}

        def make(last: Any) -> dict[str, Any]:
            about = {"state": state, "source": source, "file": ""}
            return self._fill(place, last, about, lambda stage: _unpacked(archive, stage, source))

        self.node.once(place, source, make, MADE)
        return self.node.folder / place

    def _find(self, url: str, choose: Choice | None) -> Found:
        """Return the objects that a URL means, or the file that `choose` names in its folder."""
        found = self._list(url)
        if choose is None or found.file:
            return found
        name = choose(url, [name for name in found.objects if "/" not in name])
        wanted = (name, f"{name}.json")
        objects = {each: found.objects[each] for each in wanted if each in found.objects}
        return Found(join(url, name), objects, name)

    def _list(self, url: str) -> Found:
        split(url)  # raises InputError if the URL names no bucket
        store, name = self.store(), url.rstrip("/").rpartition("/")[2]
        described = None if url.endswith("/") else transfer.stat(store, url)
        if described is None:
            objects = transfer.contents(store, url)
            if not objects:
                raise InputError(url, "", before="there is nothing at")
            return Found(url, objects)
        objects = {name: described}
        if name.lower().endswith(DESCRIBED) and (beside := transfer.stat(store, f"{url}.json")):
            objects[f"{name}.json"] = beside
        return Found(url, objects, name)

    def _bring(self, found: Found, place: str, last: Any, unpacks: bool) -> dict[str, Any]:
        """Download objects, and unpack them if they are an archive. Return the record of it."""

        def get(stage: Path) -> Path:
            self._download(found, stage)
            archive = _archive(stage) if unpacks else None
            if archive is None:
                return stage
            return _unpacked(archive, stage.with_suffix(CONTENT), found.url)

        about = {
            "state": found.state,
            "source": canonical(found.url),
            "file": "" if unpacks and is_archive(found.file) else found.file,
        }
        return self._fill(place, last, about, get)

    def _download(self, found: Found, folder: Path) -> None:
        holds = f"{clipped(found.url, 100)} holds"
        refuse_misnamed(folder, found.objects, holds, "rename or remove it")
        store, start = self.store(), time.monotonic()
        if found.file:
            for name, described in found.objects.items():
                url = join(found.url.rpartition("/")[0], name)
                transfer.get_file(store, url, described, folder / name)
        else:
            transfer.get_files(store, found.url, found.objects, folder)
        LOG.info(
            "downloaded %d files, %.1f MB, from %s in %.0f s",
            len(found.objects),
            sum(described.size for described in found.objects.values()) / 1e6,
            found.url,
            time.monotonic() - start,
        )

    def _fill(
        self, place: str, last: Any, about: dict[str, Any], fill: Callable[[Path], Path]
    ) -> dict[str, Any]:
        """Make a folder, unless it is as it was made from the same state. Return its record.

        Args:
            last: the record of the job before.
            about: the new record, without "sizes".
            fill: fills an empty folder, and returns the folder to rename to the place.
        """
        target = self.node.folder / place
        same = last and all(last[name] == about[name] for name in ("state", "source"))
        if same and _sizes(target) == last["sizes"]:
            return last
        if target.exists() and any(target.iterdir()) and not self.node.last(place):
            raise CacheError(
                target,
                "holds files that no job downloaded, or its record is broken; remove it, or name "
                "another folder",
            )
        stage = target.with_name(f".{target.name}.part")
        both = (stage, stage.with_suffix(CONTENT))
        try:
            for left in both:  # a killed job may have left them
                shutil.rmtree(left, ignore_errors=True)
            stage.mkdir(parents=True)
            full = fill(stage)
            shutil.rmtree(target, ignore_errors=True)
            os.replace(full, target)
        finally:
            for left in both:
                shutil.rmtree(left, ignore_errors=True)
        return {**about, "sizes": _sizes(target)}


def data_root(folder: Path) -> Path:
    """Return the folder with the data.

    An archive often holds a single folder, with all data in it: then return that folder.
    """
    while folder.is_dir():
        entries = _entries(folder)
        if len(entries) != 1 or not entries[0].is_dir():
            break
        folder = entries[0]
    return folder


def choose_checkpoint(source: str, names: list[str]) -> str:
    """Return the weights that a folder stands for: its *_best.ckpt, or its only file of weights.

    Raises:
        InputError: the folder has no such file, or more than one.
    """
    files = _ending(names, WEIGHTS)
    return _only(source, [name for name in files if name.endswith("_best.ckpt")] or files, WEIGHTS)


def choose_yaml(source: str, names: list[str]) -> str:
    """Return the only YAML file of a folder. InputError if it has none, or more than one."""
    return _only(source, _ending(names, YAMLS), YAMLS)


def _ending(names: list[str], types: tuple[str, ...]) -> list[str]:
    return sorted(
        name for name in names if name.lower().endswith(types) and not name.startswith(".")
    )


def _only(source: str, names: list[str], types: tuple[str, ...]) -> str:
    if len(names) == 1:
        return names[0]
    what = (
        f"{len(names)} files to choose from ({name_some(names)})"
        if names
        else f"no file that ends with {', '.join(types)}"
    )
    raise InputError(source, f"holds {what}; name the file")


def _entries(folder: Path) -> list[Path]:
    """Return the entries of a folder, without hidden ones."""
    return [entry for entry in folder.iterdir() if not entry.name.startswith(".")]


def _archive(path: Path) -> Path | None:
    """Return the archive that a path means: itself, or the only entry of a folder."""
    entries = [path] if path.is_file() else _entries(path)
    if len(entries) == 1 and entries[0].is_file() and is_archive(entries[0].name):
        return entries[0]
    return None


def _unpacked(archive: Path, folder: Path, source: str) -> Path:
    """Unpack an archive, and return the folder."""
    folder.mkdir(exist_ok=True)
    unpack(archive, folder, source)
    return folder


def _sizes(folder: Path) -> dict[str, int]:
    return {
        str(file.relative_to(folder)): file.stat().st_size
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
