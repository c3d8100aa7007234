"""The trained model that a setting names, and its predictor: for predict, eval and parity."""

from __future__ import annotations

from functools import cache

from dlinknet.config import Config
from dlinknet.devices import runtime
from dlinknet.devices.context import ComputeOptions
from dlinknet.errors import UserError, naming
from dlinknet.inference.onnx_engines import OnnxOptions
from dlinknet.inference.open_model import Opened, open_model
from dlinknet.inference.predictor import Predictor, views_of
from dlinknet.inference.tiles import Tiling


def open_trained(settings: Config, file: str, key: str = "trained_ckpt") -> Opened:
    """Open a trained model.

    Args:
        file: the model's file, which the setting `key` names.

    Raises:
        UserError: the file or the device cannot be used.
    """
    _refuse_unused(settings)
    onnx = OnnxOptions(settings.engine, settings.cpu_precision)
    with naming(key):
        return open_model(file, lambda: start_device(settings), settings.model_name, onnx)


def _refuse_unused(settings: Config) -> None:
    """Raise UserError if a setting for ONNX files is given, and no model is one."""
    files = [settings.trained_ckpt, *settings.exports.split(",")]
    if any(file.strip().lower().endswith(".onnx") for file in files):
        return
    if settings.engine != "auto":
        raise UserError(f"engine: {settings.engine} computes .onnx files only; export one first")
    if settings.cpu_precision == "bfloat16":
        raise UserError("cpu_precision: bfloat16 is for .onnx files; export one first")


@cache
def start_device(settings: Config) -> str:
    """Return the device, in words. The first call starts MindSpore on it, for all models.

    Raises:
        UserError: the device cannot be used.
    """
    with naming("device_target"):
        return str(
            runtime.start(
                settings.device_target,
                settings.device_id,
                settings.seed,
                ComputeOptions(settings.tf32, settings.jit_level),
            )
        )


def tiling_of(settings: Config, opened: Opened) -> Tiling:
    """Return the tiles and views that the settings ask for."""
    views = views_of(settings.tta, opened.card.augment or settings.augment)
    return Tiling(
        settings.tile_size, settings.tile_overlap, views, opened.card.preprocessing.resize
    )


def predictor_of(settings: Config, opened: Opened) -> Predictor:
    """Return the predictor of an opened model.

    Raises:
        UserError: the model cannot compute the views of --tta.
    """
    with naming("tta"):
        return Predictor(opened.engine, tiling_of(settings, opened))
