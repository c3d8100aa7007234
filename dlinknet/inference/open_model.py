"""A trained model of any kind, opened for prediction: a checkpoint, an exported MINDIR or ONNX file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Callable, TypeVar

from dlinknet.config import Config
from dlinknet.data.classes import Classes, names_unlike
from dlinknet.data.preprocess import Preprocessing
from dlinknet.devices import runtime
from dlinknet.errors import UserError, first_line
from dlinknet.inference import description
from dlinknet.inference.engines import (
    Engine,
    MindirEngine,
    NetworkEngine,
    OnnxEngine,
)

Loaded = TypeVar("Loaded")


@dataclass(frozen=True)
class Opened:
    """A model that computes, its name, where it does, what classes it knows and what it wants done to images."""

    model: str
    engine: Engine
    device: str
    classes: Classes
    preprocessing: Preprocessing

    def need_classes(self, classes: Classes, file: str, key: str) -> None:
        """UserError where the model, which the setting `key` named, was trained for other classes than the masks have."""
        unlike = names_unlike(self.classes.names, classes.names, "model")
        if unlike:
            raise UserError(
                f"{key}: {file}: {unlike}; data_layout, class_table and ignore_index must be those of its training"
            )


def open_model(file: str, key: str, settings: Config) -> Opened:
    """Opens a trained model; a file's ending says what it is: .mindir, .onnx, any other a checkpoint.

    MindSpore is started on the settings' device by the first model that takes it; ONNX files do without it.

    Args:
        key: the setting that named the file, for the error's line.

    Raises:
        UserError: the file is missing, damaged or of a kind that is not known here, or a package is missing.
    """
    kind = Path(file).suffix.lower()
    if kind == ".air":
        raise UserError(
            f"{key}: {file} is for Ascend's own tools; name the checkpoint, a .mindir or an .onnx"
        )
    if kind in (".mindir", ".onnx"):
        return _open_export(file, kind, key, settings)
    device = _started(settings)
    from dlinknet.checkpoints.load import load_trained

    trained = load_trained(file, key, settings.model_name)
    classes, preprocessing = trained.card.known_classes(file, key), trained.card.preprocessing
    return Opened(
        trained.model,
        NetworkEngine(trained.network, classes.outputs, preprocessing),
        device,
        classes,
        preprocessing,
    )


def _open_export(file: str, kind: str, key: str, settings: Config) -> Opened:
    card, shape, written_by = description.read(file, key)
    classes, preprocessing = card.known_classes(file, key), card.preprocessing
    if kind == ".onnx":
        engine = _loaded(
            lambda: OnnxEngine(Path(file), shape, key, preprocessing, card.classes),
            file,
            key,
            "ONNX Runtime",
        )
        return Opened(
            card.model,
            engine,
            f"device: CPU (ONNX Runtime {engine.version})",
            classes,
            preprocessing,
        )
    device = _started(settings)
    made = f"MindSpore {runtime.version()} (a file of {written_by})"
    engine = _loaded(
        lambda: MindirEngine(Path(file), shape, preprocessing, card.classes), file, key, made
    )
    return Opened(card.model, engine, device, classes, preprocessing)


@cache
def _started(settings: Config) -> str:
    """The device, in words. The first call starts MindSpore there, for all models that a command opens."""
    return str(
        runtime.start(settings.device_target, settings.device_id, settings.seed, settings.tf32)
    )


def _loaded(load: Callable[[], Loaded], file: str, key: str, by: str) -> Loaded:
    try:
        return load()
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001  (each engine's own kinds)
        raise UserError(f"{key}: {file} cannot be loaded by {by}: {first_line(error)}") from None
