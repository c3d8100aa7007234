"""Every setting with its type."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, get_type_hints

import yaml

from dlinknet.config.defaults import defaults
from dlinknet.config.values import CommaList, FilePath, ResumePoint, parse_value
from dlinknet.errors import UserError, shown


@dataclass(frozen=True)
class Config:
    """The value of every setting.

    dlinknet_config.yaml holds the default, the help text and the limits of each setting.
    """

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
    jit_level: str
    engine: str
    cpu_precision: str

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
    resume: ResumePoint

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
    file_format: CommaList
    dynamic: bool
    pixel_input: bool
    sample_image: FilePath
    quantize: str
    calibration_path: FilePath
    calibration_label_path: FilePath
    quantize_tolerance: float
    soc_version: str
    om_precision: str
    exports: CommaList
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
    """The keys that stand on the command line."""

    @property
    def epochs_key(self) -> str:
        """The setting that gives the number of epochs."""
        return "distribute_epoch_num" if self.run_distribute else "epoch_num"

    @property
    def epochs(self) -> int:
        """The number of epochs of a training."""
        return getattr(self, self.epochs_key)

    def as_yaml(self) -> str:
        """Return the settings as a YAML document, which --config_path accepts."""
        values = {key: getattr(self, key) for key in TYPES}
        return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


TYPES: dict[str, Any] = {
    key: kind for key, kind in get_type_hints(Config).items() if key != "given"
}


def check(key: str, value: Any, source: str) -> Any:
    """Return the value of a setting in its type.

    Args:
        key: the setting.
        value: a value of YAML, or a word of the command line.
        source: the origin of the value, for the error's line.

    Raises:
        UserError: the value has another type or is outside its limits.
    """
    value = parse_value(key, value, TYPES[key], defaults().limits.get(key), source)
    if key == "model_name" and value.startswith("dinknet"):
        value = "dlinknet" + value[len("dinknet") :]
    if key == "log_name" and (not value or os.sep in value or value.startswith(".")):
        raise UserError(
            f"{source}: log_name must be a plain file name without '{os.sep}', not {shown(value)}"
        )
    return value


def default(key: str) -> Any:
    """Return the default value of a setting in its type."""
    return check(key, defaults().values[key], "dlinknet_config.yaml")


def refuse_contradictions(config: Config) -> None:
    """Raise UserError if two settings contradict each other."""
    if config.tile_overlap > config.tile_size - 32:
        raise UserError(
            f"tile_overlap must be at most tile_size - 32 = {config.tile_size - 32}, "
            f"not {config.tile_overlap}"
        )
    if bool(config.resize_width) != bool(config.resize_height):
        raise UserError(
            "resize_width and resize_height belong together: give both, or 0 for neither"
        )
    if config.train_height and not config.train_size:
        raise UserError(
            "train_height is the height of crops whose width is train_size: give train_size too"
        )
