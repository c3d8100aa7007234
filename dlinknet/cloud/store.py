"""What a store of objects offers, and the URLs of its objects. Nothing here knows of training.

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
    """A request that may succeed when it is made again. The text is the cause."""


class Refused(Exception):
    """A request that will fail again: no such bucket, no right to it. The text is the cause."""


@dataclass(frozen=True)
class Object:
    """A file as its store describes it.

    size: bytes.
    md5: hexadecimal; empty if the store does not say it.
    """

    size: int
    md5: str = ""


class Store(Protocol):
    """Files below URLs. Several threads may call each method; each raises Broken or Refused."""

    def stat(self, url: str) -> Object | None:
        """Return the object of this URL; None if there is none. A folder is none."""

    def list(self, url: str, again: Again) -> dict[str, Object]:
        """Return every object below a folder, by its path from there.

        Args:
            again: makes each request.
        """

    def get(self, url: str, file: Path, size: int) -> None:
        """Write an object's `size` bytes to a file. A failure may leave a part of it."""

    def put(self, file: Path, url: str) -> None:
        """Make an object of a file."""

    def remove(self, url: str) -> None:
        """Remove an object."""

    def get_folder(self, url: str, folder: Path) -> None:
        """Bring a folder's files at once if that is faster than one by one.

        It may bring some of them or none; the caller looks.
        """


def is_remote(path: str) -> bool:
    """Return whether this is a URL of a store."""
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
