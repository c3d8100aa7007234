"""The settings of one command: dlinknet_config.yaml, a user's YAML file and a command line.

Every mistake is a UserError of one line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dlinknet.config import command_line
from dlinknet.config.command_line import did_you_mean
from dlinknet.config.defaults import DEFAULT_FILE, defaults, read_values, uses
from dlinknet.config.settings import TYPES, Config, check, refuse_contradictions
from dlinknet.config.values import ResumePoint
from dlinknet.errors import UserError, shown

JOB = "enable_modelarts"  # the setting that makes a command a ModelArts job


def load(
    arguments: list[str], description: str, run: dict[str, Any] | None = None, command: str = ""
) -> Config:
    """Return the settings of one command.

    The command line overrides the user's file, the file overrides `run`, and `run` overrides the
    defaults.

    Args:
        arguments: the command line without the program's name: --key=value or --key value. A --key
            without a value means True.
        description: the text of --help about the command.
        run: the settings of the run to resume.
        command: the command's name, as in 'train'. '' accepts the settings of every command.

    Raises:
        UserError: a key is unknown, a value has the wrong type or is outside its limits, a file
            cannot be read, or the command line names a setting that the command does not use. (A
            YAML file may hold all settings.)
        SystemExit: the command line has --help. The help is then on stdout.
    """
    given, unknown = split(arguments, description, command)
    if unknown:
        raise _unknown(unknown[0])
    _refuse_unused(given, command)
    path = given.pop("config_path", None)
    values = {key: (value, DEFAULT_FILE.name) for key, value in defaults().values.items()}
    values.update(
        {key: (value, "the resumed run") for key, value in (run or {}).items() if key in TYPES}
    )
    if path is not None:
        file = _local_file(path)
        values.update({key: (value, file.name) for key, value in read_values(file).items()})
    values.update({key: (value, "command line") for key, value in given.items()})
    for key, (_, source) in values.items():
        if key not in TYPES:
            meant = did_you_mean(str(key), TYPES)
            raise UserError(f"{source}: unknown key {shown(str(key))}{meant}")
    config = Config(
        **{key: check(key, value, source) for key, (value, source) in values.items()},
        given=frozenset(given),
    )
    refuse_contradictions(config)
    return config


def _refuse_unused(keys: Iterable[str], command: str) -> None:
    """Raise UserError if a command does not use one of the keys on its command line."""
    for key in keys:
        if key != "config_path" and command and not uses(command, key):
            others = ", ".join(defaults().commands[key])
            raise UserError(f"--{key}: {command} does not use this setting; it is of {others}")


def _local_file(path: str) -> Path:
    """Return the file that config_path names. Raise UserError for a URL."""
    if "://" in path:
        raise UserError(
            f"config_path: {path} is in a store; a ModelArts job (--{JOB}=True) downloads it"
        )
    return Path(path).expanduser()


def _unknown(word: str) -> UserError:
    """Return the error for a word of the command line that is not a setting."""
    name = word.split("=")[0]
    if not name.startswith("--"):
        return UserError(f"{shown(word)} is not a setting: write --key=value")
    meant = did_you_mean(name[2:], [*TYPES, "config_path"], "--")
    return UserError(f"unknown key {shown(name)}{meant}; --help lists them all")


def split(
    arguments: list[str], description: str, command: str = ""
) -> tuple[dict[str, str], list[str]]:
    """Return (key -> value as text, the other words) of a command line.

    The keys are those of the settings, and config_path.

    Args:
        arguments: the command line without the program's name.
        description: the text of --help about the command.
        command: the command whose settings --help lists; '' lists all settings.

    Raises:
        UserError: a key lacks its value.
        SystemExit: the command line has --help. The help is then on stdout.
    """
    bare = [key for key, kind in TYPES.items() if kind in (bool, ResumePoint)]
    settings = {
        key: command_line.Setting(
            defaults().texts[key],
            defaults().values[key],
            defaults().limits.get(key),
            not command or uses(command, key),
        )
        for key in TYPES
    }
    return command_line.parse_arguments(arguments, description, settings, defaults().headings, bare)


def wants_job(arguments: list[str], environment: Mapping[str, str]) -> bool:
    """Return True if enable_modelarts is set, or if config_path is an OBS URL.

    The command line decides. If it lacks the setting, the environment decides, then the YAML file.

    Raises:
        UserError: the value in the arguments or the environment is neither True nor False, or a key
            in the arguments lacks its value.
    """
    given, _ = split([argument for argument in arguments if argument not in ("-h", "--help")], "")
    for said, source in (
        (given.get(JOB), "command line"),
        (environment.get(JOB), "environment variable"),
    ):
        if said:
            return bool(check(JOB, said, source))
    path = given.get("config_path") or environment.get("config_path", "")
    if "://" in path:
        return True
    file = Path(path).expanduser()
    files = sorted(file.glob("*.y*ml")) if path and file.is_dir() else [file] if path else []
    try:
        own = read_values(files[0]) if len(files) == 1 else {}
        return bool(check(JOB, {**defaults().values, **own}[JOB], path))
    except UserError:
        return False  # load() reports the fault of the file
