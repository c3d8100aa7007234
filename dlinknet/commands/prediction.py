"""What predict, eval and parity share: the trained model that a setting names, and how it is run."""

from __future__ import annotations

from functools import cache

from dlinknet.config import Config
from dlinknet.devices import runtime
from dlinknet.errors import naming
from dlinknet.inference.open_model import Opened, open_model
from dlinknet.inference.predictor import Predictor, views_of
from dlinknet.inference.tiles import Tiling


def open_trained(settings: Config, file: str, key: str = "trained_ckpt") -> Opened:
    """Return an opened model.

    Args:
        file: the model's file; the setting `key` named it.

    Raises:
        UserError: the file cannot be used.
    """
    with naming(key):
        return open_model(file, lambda: start_device(settings), settings.model_name)


@cache
def start_device(settings: Config) -> str:
    """Return the device, in words. The first call starts MindSpore there, for all models."""
    with naming("device_target"):
        return str(
            runtime.start(settings.device_target, settings.device_id, settings.seed, settings.tf32)
        )


def tiling_of(settings: Config, opened: Opened) -> Tiling:
    """Return how the settings have the images of a model cut and averaged."""
    views = views_of(settings.tta, opened.card.augment or settings.augment)
    return Tiling(
        settings.tile_size, settings.tile_overlap, views, opened.card.preprocessing.resize
    )


def predictor_of(settings: Config, opened: Opened) -> Predictor:
    """Return the predictor of an opened model. UserError if --tta asks for what it cannot do."""
    with naming("tta"):
        return Predictor(opened.engine, tiling_of(settings, opened))
