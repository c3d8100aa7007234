"""The protocol of a store of objects, and the URLs of its objects.

s3://BUCKET/KEY and obs://BUCKET/KEY are the same. A folder is a common start of keys, up to a '/'.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Protocol

from dlinknet.errors import InputError

SCHEMES = ("s3://", "obs://")
THREADS = 8  # requests at a time: small images are slow one by one

# Calls a function until it does not raise Broken, and returns its result.
Again = Callable[[Callable[[], Any]], Any]


class Broken(Exception):
    """A request that may succeed if it is repeated. The text is the cause."""


class Refused(Exception):
    """A request that will fail again: no such bucket, no right to it. The text is the cause."""


@dataclass(frozen=True)
class Object:
    """A file as its store describes it.

    size: bytes.
    md5: hexadecimal; empty if the store does not give it.
    """

    size: int
    md5: str = ""


class Store(Protocol):
    """Files below URLs. Several threads may call each method; each raises Broken or Refused."""

    def stat(self, url: str) -> Object | None:
        """Return the object of this URL; None if there is none. A folder is not an object."""

    def list(self, url: str, again: Again) -> dict[str, Object]:
        """Return every object below a folder, by its path below this folder.

        Args:
            again: makes each request, and repeats it while it raises Broken.
        """

    def get(self, url: str, file: Path, size: int) -> None:
        """Write an object's `size` bytes to a file. A failure may leave a part of the file."""

    def put(self, file: Path, url: str) -> None:
        """Upload a file as an object."""

    def remove(self, url: str) -> None:
        """Remove an object."""

    def get_folder(self, url: str, folder: Path) -> None:
        """Download a folder's files in one call, if the store is faster that way.

        Some files or all may be missing afterwards: the caller must look.
        """


def is_remote(path: str) -> bool:
    """Return whether a path is a URL of a store."""
    return path.startswith(SCHEMES)


def canonical(url: str) -> str:
    """Return one spelling for equal URLs: obs://b/x for s3://b/x/."""
    return "obs://" + "/".join(filter(None, split(url)))


def join(url: str, path: str) -> str:
    """Return the URL of a path below a folder."""
    return f"{url.rstrip('/')}/{path}"


def split(url: str) -> tuple[str, str]:
    """Return (bucket, key) of a URL; a key has no '/' at its ends.

    Raises:
        InputError: the URL has no bucket.
    """
    bucket, _, key = url.split("://", 1)[1].partition("/")
    if not bucket:
        raise InputError(url, "names no bucket: write obs://BUCKET/PATH")
    return bucket, key.strip("/")
