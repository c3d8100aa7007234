"""Files that are not what their name says: a Git LFS pointer, a web page, an empty file. Standard library only."""

from __future__ import annotations

from pathlib import Path

LFS = b"version https://git-lfs"
PAGES = (b"<!doctype html", b"<html", b"<?xml version")


def foreign(start: bytes) -> str:
    """Return what a file is in place of data, with the remedy, from its first bytes; empty if they look like data.

    A download that failed, or a repository cloned without Git LFS, leaves such files behind.
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
    """Return `foreign` of a file's first bytes.

    Raises:
        OSError: the file cannot be read.
    """
    with open(file, "rb") as data:
        return foreign(data.read(256))
