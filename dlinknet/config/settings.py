"""dlinknet_config.yaml, a file of the user's and the command line -> one frozen, typed Config.

Every mistake (an unknown key, a wrong type, an impossible value) is a UserError of one line.
"""
from __future__ import annotations

import functools
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Mapping, get_type_hints

import yaml

from dlinknet.config import command_line
from dlinknet.config.command_line import nearest
from dlinknet.config.values import FilePath, Resume, Several, checked
from dlinknet.errors import UserError, clipped, shown
from dlinknet.files.texts import BadText, read_yaml

DEFAULT_FILE = Path(__file__).resolve().parents[2] / "dlinknet_config.yaml"

JOB = "enable_modelarts"


@dataclass(frozen=True)
class Config:
    """Every setting, resolved. dlinknet_config.yaml holds each key's default, meaning and limits."""

    data_path: FilePath
    data_layout: str
    class_table: FilePath
    ignore_index: str
    eval_set: str
    output_path: FilePath
    val_split: float
    val_path: FilePath
    val_label_path: FilePath
    train_size: int
    train_height: int
    resize_width: int
    resize_height: int
    preprocessing: str
    augment: str
    num_workers: int

    device_target: str
    device_id: int
    run_distribute: bool
    amp_level: str
    tf32: bool

    model_name: str
    decoder: str
    pretrained_ckpt: FilePath
    encoder_padding: str

    log_name: str
    epoch_num: int
    distribute_epoch_num: int
    batch_size: int
    learning_rate: float
    optimizer: str
    momentum: float
    weight_decay: float
    schedule: str
    schedule_epochs: int
    schedule_factor: float
    class_weights: str
    init_loss_scale: float
    scale_factor: int
    scale_window: int
    seed: int
    save_steps: int
    resume: Resume

    trained_ckpt: FilePath
    label_path: FilePath
    predict_path: FilePath
    threshold: float
    tta: bool
    tile_size: int
    tile_overlap: int
    probabilities: str
    overlays: bool

    num_channels: int
    width: int
    height: int
    file_name: FilePath
    file_format: Several
    dynamic: bool
    pixel_input: bool
    sample_image: FilePath
    exports: Several
    as_json: bool

    enable_modelarts: bool
    data_url: str
    train_url: str
    checkpoint_url: str
    cache_path: FilePath

    split_files: str
    scene_num: int
    scene_size: int

    rank_table: FilePath
    devices: str
    server_ip: str

    given: frozenset = field(default=frozenset(), compare=False, repr=False)
    """The keys that the command line named itself."""

    @property
    def epochs_key(self) -> str:
        """The setting that says how many epochs a training has."""
        return "distribute_epoch_num" if self.run_distribute else "epoch_num"

    @property
    def epochs(self) -> int:
        """How many it has."""
        return getattr(self, self.epochs_key)

    def as_yaml(self) -> str:
        """The resolved settings as a YAML document that --config_path takes."""
        values = {key: getattr(self, key) for key in TYPES}
        return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


TYPES: dict[str, Any] = {key: kind for key, kind in get_type_hints(Config).items() if key != "given"}


def load(arguments: list[str], description: str, run: dict[str, Any] | None = None, command: str = "") -> Config:
    """Resolves the settings of one command.

    Args:
        arguments: the command line without the program's name: --key=value or --key value; a bare --key means True.
        description: what the command does, for --help.
        run: settings of a run that is resumed; they replace the defaults, config_path and command line replace them.
        command: its name, as in 'train'; empty accepts the settings of every command.

    Raises:
        UserError: an unknown key, a wrong type, an impossible value, an unreadable file, or the command line names a setting that the
            command does not use. (A YAML file may hold all of them.)
    """
    given, unknown = split(arguments, description)
    if unknown:
        name = unknown[0].split("=")[0]
        if not name.startswith("--"):
            raise UserError(f"{shown(unknown[0])} is not a setting: write --key=value")
        raise UserError(f"unknown key {shown(name)}{nearest(name[2:], [*TYPES, 'config_path'], '--')}; --help lists them all")
    for key in given:
        if key != "config_path" and command and not uses(command, key):
            others = ", ".join(f"{name}.py" for name in _defaults()[3][key])
            raise UserError(f"--{key}: {command}.py does not use this setting; it is of {others}")
    path = given.pop("config_path", None)
    values = {key: (value, DEFAULT_FILE.name) for key, value in _defaults()[0].items()}
    values.update({key: (value, "the resumed run") for key, value in (run or {}).items() if key in TYPES})
    if path is not None:
        if "://" in path:
            raise UserError(f"config_path: {path} lies in a store, from which a ModelArts job takes it: --enable_modelarts=True")
        file = Path(path).expanduser()
        values.update({key: (value, file.name) for key, value in read_values(file).items()})
    values.update({key: (value, "command line") for key, value in given.items()})
    for key, (_, source) in values.items():
        if key not in TYPES:
            raise UserError(f"{source}: unknown key {shown(str(key))}{nearest(str(key), TYPES)}")
    config = Config(**{key: check(key, value, source) for key, (value, source) in values.items()}, given=frozenset(given))
    _refuse_together(config)
    return config


def split(arguments: list[str], description: str) -> tuple[dict[str, str], list[str]]:
    """(the keys that a command line gives, with config_path, as text; what is left of it)."""
    defaults, texts, limits, _ = _defaults()
    bare = [key for key, kind in TYPES.items() if kind in (bool, Resume)]
    return command_line.split(arguments, description, DEFAULT_FILE.name, {key: (texts[key], defaults[key], limits.get(key))
                                                                         for key in TYPES}, bare)


def wants_job(arguments: list[str], environment: Mapping[str, str]) -> bool:
    """Whether arguments, environment or YAML file say enable_modelarts, in this order; a YAML file in a store says it by being there.

    Raises:
        UserError: what arguments or environment say of it is neither True nor False.
    """
    given, _ = split([argument for argument in arguments if argument not in ("-h", "--help")], "")
    for said, source in ((given.get(JOB), "command line"), (environment.get(JOB), "environment variable")):
        if said:
            return check(JOB, said, source)
    path = given.get("config_path") or environment.get("config_path", "")
    if "://" in path:
        return True
    file = Path(path).expanduser()
    files = sorted(file.glob("*.y*ml")) if path and file.is_dir() else [file] if path else []
    try:
        return check(JOB, {**_defaults()[0], **(read_values(files[0]) if len(files) == 1 else {})}[JOB], path)
    except UserError:
        return False            # load() says what is wrong with it


def read_values(file: Path) -> dict[str, Any]:
    """The settings in a YAML file, unchecked. UserError where it cannot be read."""
    return _documents(file)[0]


@functools.lru_cache(maxsize=None)
def _defaults() -> tuple[dict, dict, dict, dict]:
    """(values, help texts, limits, commands that use it) of every key."""
    return tuple(_documents(DEFAULT_FILE))


def uses(command: str, key: str) -> bool:
    """Return whether a command reads a setting."""
    return command in _defaults()[3][key]


def default(key: str) -> Any:
    """Return a setting's value where nobody names another."""
    return check(key, _defaults()[0][key], DEFAULT_FILE.name)


def _documents(file: Path) -> list[dict[str, Any]]:
    """The YAML documents of a file, as dicts; four of them, the missing ones empty."""
    try:
        documents = read_yaml(file)
    except OSError as error:
        raise UserError(f"config_path: cannot read {file}: {error.strerror}") from None
    except BadText as error:
        raise UserError(clipped(f"config_path: {file}: {error}")) from None
    documents = [{} if document is None else document for document in documents]
    if not all(isinstance(document, dict) for document in documents):
        raise UserError(f"config_path: {file} must hold lines of the form 'key: value'")
    return (documents + [{}, {}, {}, {}])[:4]


def check(key: str, value: Any, source: str) -> Any:
    """One value in its type. UserError, which names `source`, where it is of another or beyond its limits."""
    value = checked(key, value, TYPES[key], _defaults()[2].get(key), source)
    if key == "model_name":
        value = "dlinknet" + value[len("dinknet"):] if value.startswith("dinknet") else value
    if key == "log_name" and (not value or os.sep in value or value.startswith(".")):
        raise UserError(f"{source}: log_name must be a plain file name without '{os.sep}', not '{value}'")
    return value


def _refuse_together(config: Config) -> None:
    """Values that do not go together."""
    if config.tile_overlap > config.tile_size - 32:
        raise UserError(f"tile_overlap must be at most tile_size - 32 = {config.tile_size - 32}, not {config.tile_overlap}")
    if bool(config.resize_width) != bool(config.resize_height):
        raise UserError("resize_width and resize_height belong together: give both, or 0 for neither")
    if config.train_height and not config.train_size:
        raise UserError("train_height is the height of crops whose width is train_size: give train_size too")
