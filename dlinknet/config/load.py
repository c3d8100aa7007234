"""dlinknet_config.yaml, a user's YAML file and a command line -> one Config. Every mistake is a UserError of one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping

from dlinknet.config import command_line
from dlinknet.config.command_line import nearest
from dlinknet.config.defaults import DEFAULT_FILE, defaults, read_values, uses
from dlinknet.config.settings import TYPES, Config, check, refuse_together
from dlinknet.config.values import Resume
from dlinknet.errors import UserError, shown

JOB = "enable_modelarts"


def load(
    arguments: list[str], description: str, run: dict[str, Any] | None = None, command: str = ""
) -> Config:
    """Resolve the settings of one command.

    Args:
        arguments: the command line without the program's name: --key=value or --key value; a bare --key means True.
        description: what the command does, for --help.
        run: settings of a run that is resumed; they replace the defaults, config_path and command line replace them.
        command: its name, as in 'train'; empty accepts the settings of every command.

    Raises:
        UserError: an unknown key, a wrong type, an impossible value, an unreadable file, or the command line names a setting
            that the command does not use. (A YAML file may hold all of them.)
    """
    given, unknown = split(arguments, description, command)
    if unknown:
        raise _unknown(unknown[0])
    for key in given:
        if key != "config_path" and command and not uses(command, key):
            others = ", ".join(defaults().commands[key])
            raise UserError(f"--{key}: {command} does not use this setting; it is of {others}")
    path = given.pop("config_path", None)
    values = {key: (value, DEFAULT_FILE.name) for key, value in defaults().values.items()}
    values.update(
        {key: (value, "the resumed run") for key, value in (run or {}).items() if key in TYPES}
    )
    if path is not None:
        if "://" in path:
            raise UserError(
                f"config_path: {path} lies in a store, from which a ModelArts job takes it: --{JOB}=True"
            )
        file = Path(path).expanduser()
        values.update({key: (value, file.name) for key, value in read_values(file).items()})
    values.update({key: (value, "command line") for key, value in given.items()})
    for key, (_, source) in values.items():
        if key not in TYPES:
            raise UserError(f"{source}: unknown key {shown(str(key))}{nearest(str(key), TYPES)}")
    config = Config(
        **{key: check(key, value, source) for key, (value, source) in values.items()},
        given=frozenset(given),
    )
    refuse_together(config)
    return config


def _unknown(word: str) -> UserError:
    """Return the error for a word of the command line that is no setting."""
    name = word.split("=")[0]
    if not name.startswith("--"):
        return UserError(f"{shown(word)} is not a setting: write --key=value")
    meant = nearest(name[2:], [*TYPES, "config_path"], "--")
    return UserError(f"unknown key {shown(name)}{meant}; --help lists them all")


def split(
    arguments: list[str], description: str, command: str = ""
) -> tuple[dict[str, str], list[str]]:
    """Return (the keys that a command line gives, with config_path, as text; the other words).

    Args:
        command: whose settings --help shows; empty for all.
    """
    bare = [key for key, kind in TYPES.items() if kind in (bool, Resume)]
    settings = {
        key: command_line.Setting(
            defaults().texts[key],
            defaults().values[key],
            defaults().limits.get(key),
            not command or uses(command, key),
        )
        for key in TYPES
    }
    return command_line.split(arguments, description, settings, defaults().headings, bare)


def wants_job(arguments: list[str], environment: Mapping[str, str]) -> bool:
    """Return True if enable_modelarts is set, or if config_path is an OBS URL.

    The command line decides, then the environment, then the YAML file.

    Raises:
        UserError: what arguments or environment say of it is neither True nor False.
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
        return False  # load() says what is wrong with the file
