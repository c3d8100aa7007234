"""Empty files, Git LFS pointers and web pages instead of data. Standard library only."""

from __future__ import annotations

from pathlib import Path

LFS = b"version https://git-lfs"
PAGES = (b"<!doctype html", b"<html", b"<?xml version")


def foreign(start: bytes) -> str:
    """Return the fault of a file that holds no data, with the remedy; '' if it may hold data.

    Such files come from a failed download, or from a repository cloned without Git LFS.

    Args:
        start: the first bytes of the file.
    """
    if not start:
        return "is empty; download or copy it again"
    if start.startswith(LFS):
        return "is a Git LFS pointer, not the file itself; run: git lfs pull"
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(PAGES):
        return "is a web page, not the file itself; download the file again"
    return ""


def foreign_file(file: Path) -> str:
    """Return the fault of a file that holds no data, as `foreign` does.

    Raises:
        OSError: the file cannot be read.
    """
    with open(file, "rb") as data:
        return foreign(data.read(256))
