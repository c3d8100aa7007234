"""dlinknet_config.yaml and the YAML files of users."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, NamedTuple

from dlinknet.errors import UserError, clipped
from dlinknet.files.shipped import shipped
from dlinknet.files.texts import BadText, read_yaml

DEFAULT_FILE = shipped("dlinknet_config.yaml")


class Defaults(NamedTuple):
    """The documents of dlinknet_config.yaml.

    values, texts, commands: setting -> default, help text, and the commands that use it.
    limits: setting -> a list of choices or a dict of bounds. Some settings have no limits.
    headings: heading -> the settings that --help lists under it.
    """

    values: dict[str, Any]
    texts: dict[str, str]
    limits: dict[str, Any]
    commands: dict[str, list[str]]
    headings: dict[str, list[str]]


@functools.cache
def defaults() -> Defaults:
    """Return the documents of dlinknet_config.yaml. The file is read once."""
    return Defaults(*_documents(DEFAULT_FILE))


def uses(command: str, key: str) -> bool:
    """Return whether a command uses a setting."""
    return command in defaults().commands[key]


def read_values(file: Path) -> dict[str, Any]:
    """Return the settings in a YAML file: its first document. The values are not checked.

    Raises:
        UserError: the file cannot be read, is not YAML or holds anything but key: value.
    """
    return _documents(file)[0]


def _documents(file: Path) -> list[dict[str, Any]]:
    """Return the YAML documents of a file as dicts, as many as Defaults has fields.

    A missing document is an empty dict.

    Raises:
        UserError: the file cannot be read, is not YAML or holds anything but key: value.
    """
    try:
        documents = read_yaml(file)
    except OSError as error:
        raise UserError(f"config_path: cannot read {file}: {error.strerror}") from None
    except BadText as error:
        raise UserError(clipped(f"config_path: {file}: {error}")) from None
    documents = [{} if document is None else document for document in documents]
    if not all(isinstance(document, dict) for document in documents):
        raise UserError(f"config_path: {file} must hold lines of the form 'key: value'")
    count = len(Defaults._fields)
    return (documents + [{}] * count)[:count]
