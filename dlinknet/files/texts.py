"""YAML and JSON from untrusted files. Every fault is one short line.

The size of a text, its depth and the digits of its numbers are limited. The result holds only
dicts, lists, texts without NUL bytes, finite numbers, booleans and None.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import yaml

from dlinknet.errors import clipped, shown
from dlinknet.files.foreign import foreign

YAML_BYTES = 256 << 10  # a table of 250 classes has 30 kB
JSON_BYTES = 64 << 20  # enough for a split of a million images
DEPTH = 20  # the most levels of lists and dicts
DIGITS = 40  # the most digits of a number

INTEGER = re.compile(r"[-+]?[0-9][0-9_]*|[-+]?0x_*[0-9a-fA-F][0-9a-fA-F_]*|[-+]?0b_*[01][01_]*")
NUMBER = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+][0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
OCTAL = re.compile(r"[-+]?0[0-9_]+")


class BadText(Exception):
    """A text that cannot be used.

    The message gives the reason, but not the file, in at most 200 characters.
    """

    def __init__(self, reason: str):
        super().__init__(clipped(reason, 200))


def read_bytes(file: Path, most: int) -> bytes:
    """Return a file's content.

    Raises:
        OSError: the file cannot be read.
        BadText: the file has more than `most` bytes, or is a Git LFS pointer or a web page.
    """
    with open(file, "rb") as data:  # the file may be a pipe, which has no size
        content = data.read(most + 1)
    if len(content) > most:
        raise BadText(f"it has more than {most >> 10} kB")
    if content and (what := foreign(content)):
        raise BadText(f"it {what}")
    return content


def read_yaml(file: Path) -> list[Any]:
    """Return the YAML documents of a file.

    Raises:
        OSError: the file cannot be read.
        BadText: `read_bytes` or `parse_yaml` rejects the file.
    """
    return parse_yaml(read_bytes(file, YAML_BYTES))


def parse_yaml(content: bytes) -> list[Any]:
    """Return the documents of a YAML text: dicts, lists, str, int, float, bool and None.

    Dates remain texts.

    Raises:
        BadText: the text is not UTF-8 or not YAML. Or it has an alias, a tag, a key twice, a number
            with a leading 0 (YAML 1.1 reads it as octal), more than DEPTH levels, or a value that
            `check_plain` rejects.
    """
    text = _decoded(content)
    try:
        documents = list(yaml.load_all(text, _Loader))  # noqa: S506 (a SafeLoader without tags)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise BadText(f"{where}not YAML: {getattr(error, 'problem', None) or error}") from None
    except (ValueError, RecursionError) as error:
        raise BadText(f"not YAML: {error}") from None
    check_plain(documents)
    return documents


def read_json(file: Path) -> Any:
    """Return the value of a JSON file.

    Raises:
        OSError: the file cannot be read.
        BadText: `read_bytes` or `parse_json` rejects the file.
    """
    return parse_json(read_bytes(file, JSON_BYTES))


def parse_json(content: bytes | str, finite: bool = True) -> Any:
    """Return the value of a JSON text.

    Args:
        content: the text, or its bytes in UTF-8.
        finite: False accepts NaN and Infinity too, which Python writes into JSON.

    Raises:
        BadText: the text is not UTF-8 or not JSON, or has a value that `check_plain` rejects.
    """
    text = _decoded(content) if isinstance(content, bytes) else content
    try:
        value = json.loads(
            text, parse_int=_whole, parse_constant=_refuse_constant if finite else float
        )
    except json.JSONDecodeError as error:
        raise BadText(f"line {error.lineno}: not JSON: {error.msg}") from None
    except RecursionError:
        raise BadText(f"it has more than {DEPTH} levels of lists and dicts") from None
    check_plain(value, finite)
    return value


def check_plain(value: Any, finite: bool = True) -> None:
    """Check a parsed value.

    Args:
        finite: False accepts NaN and infinity too.

    Raises:
        BadText: the value has more than DEPTH levels, a number that is not finite or has more than
            DIGITS digits, or a text with a NUL byte or half of a surrogate pair.
    """
    level, depth = [value], 0
    while level:
        if depth > DEPTH:
            raise BadText(f"it has more than {DEPTH} levels of lists and dicts")
        below: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                below += each.keys()
                below += each.values()
            elif isinstance(each, list):
                below += each
            else:
                _check_scalar(each, finite)
        level, depth = below, depth + 1


def _check_scalar(value: Any, finite: bool) -> None:
    if isinstance(value, str):
        if "\0" in value:
            raise BadText(f"the text {shown(value)} has a NUL byte")
        if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise BadText(f"the text {shown(value)} has half of a surrogate pair")
    elif finite and isinstance(value, float) and not math.isfinite(value):
        raise BadText(f"{value} is not a finite number")
    elif isinstance(value, int) and value.bit_length() > DIGITS * 3.33:
        raise BadText(f"a number has more than {DIGITS} digits")


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadText("it is not a UTF-8 text") from None


def _whole(digits: str) -> int:
    if len(digits) > DIGITS:
        raise BadText(f"the number {shown(digits)} has more than {DIGITS} digits")
    return int(digits)


def _refuse_constant(name: str) -> None:
    raise BadText(f"{name} is not a finite number")


class _Loader(yaml.SafeLoader):
    """YAML without aliases, tags, dates and octal numbers."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise BadText(
                f"line {line}: an alias (*{clipped(str(event.anchor), 60)}) is not accepted; "
                "write the value out"
            )
        if getattr(event, "tag", None) is not None:
            raise BadText(
                f"line {line}: a tag ({shown(event.tag)}) is not accepted; write the value alone"
            )
        self.depth = getattr(self, "depth", 0) + 1
        if self.depth > DEPTH:
            raise BadText(f"line {line}: more than {DEPTH} levels of lists and dicts")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict:
        seen: set[str] = set()
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise BadText(f"line {line}: a key must be a word")
            if key.value in seen:
                raise BadText(f"line {line}: the key {shown(key.value)} appears twice")
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_whole(self, node: Any) -> int:
        text, line = node.value, node.start_mark.line + 1
        if OCTAL.fullmatch(text) and text.strip("+-0_"):
            raise BadText(
                f"line {line}: {shown(text)} has a leading 0, which YAML reads as an octal number; "
                f"write {text.lstrip('+-0_')}, or '{text}' in quotes for a text"
            )
        if len(text) > DIGITS:
            raise BadText(f"line {line}: the number {shown(text)} has more than {DIGITS} digits")
        return int(text.replace("_", ""), 0 if "x" in text or "b" in text else 10)


# YAML 1.1 also has dates, numbers to the base 60 (1:30), and << for merging. Here they are texts.
_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] in ("bool", "null")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(f"^(?:{INTEGER.pattern})$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(f"^(?:{NUMBER.pattern})$"), list("-+0123456789.")
)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_whole)


def read_record(file: Path) -> Any:
    """Return the JSON value of a file that an earlier command wrote.

    It is None if the file is missing or damaged. The caller then computes the value again.
    """
    try:
        return read_json(file) if file.is_file() else None  # reading a pipe would never end
    except (OSError, BadText):
        return None
