"""A trained model of any kind, opened for prediction: a checkpoint, an exported MINDIR or ONNX file."""
from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Callable, TypeVar

import numpy as np

from dlinknet import runtime
from dlinknet.config import Config
from dlinknet.console import quiet
from dlinknet.data.classes import Classes, names_unlike
from dlinknet.data.preprocess import DLINKNET, Preprocessing, to_input
from dlinknet.deploy import sidecar
from dlinknet.deploy.mindir import read_mindir
from dlinknet.deploy.onnx import EXTRA
from dlinknet.deploy.sidecar import Shape
from dlinknet.errors import RunFailed, UserError, first_line
from dlinknet.evaluation.engine import Engine, NetworkEngine, maps

Loaded = TypeVar("Loaded")


class _ExportedEngine:
    """What exported models share as engines (evaluation/engine.py): their shape, who prepares pixels, and how a failure ends.

    Args:
        classes: how many maps the model gives; 0 if that is not known.
    """

    def __init__(self, file: Path, shape: Shape, preprocessing: Preprocessing, classes: int = 0):
        self.file, self.preprocessing, self.classes = file, preprocessing, classes
        self.batch, self.size, self.pixels = shape.batch, None if shape.dynamic else shape.size, shape.pixels

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        return pixels if self.pixels else to_input(pixels, preprocessing=self.preprocessing)

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        try:
            found = self._probabilities(inputs)
            sides = inputs.shape[1:3] if self.pixels else inputs.shape[2:]
            expected = (len(inputs), self.classes or found.shape[1], *sides)
            if found.shape != expected:
                raise RunFailed(f"{self.file} gives probabilities of shape {found.shape} in place of {expected}; export "
                                "it again")
            return maps(found, str(self.file))
        except RunFailed:
            raise
        except Exception as error:  # noqa: BLE001  (each engine's own kinds; MindSpore compiles at the first call)
            raise RunFailed(f"{self.file} cannot be computed: {first_line(error)}") from None

    def _probabilities(self, inputs: np.ndarray) -> np.ndarray:
        raise NotImplementedError


class MindirEngine(_ExportedEngine):
    """A MINDIR file, on the device that MindSpore was started on.

    Raises:
        Exception: MindSpore cannot load it; it raises many kinds.
    """

    def __init__(self, file: Path, shape: Shape, preprocessing: Preprocessing = DLINKNET, classes: int = 0):
        super().__init__(file, shape, preprocessing, classes)
        with quiet(native=True):
            self.compute = read_mindir(file)

    def _probabilities(self, inputs: np.ndarray) -> np.ndarray:
        with quiet(native=True):
            return self.compute(inputs)


class OnnxEngine(_ExportedEngine):
    """An ONNX file by ONNX Runtime on the CPU, for which MindSpore is not needed.

    Raises:
        UserError: ONNX Runtime is missing.
        Exception: it cannot load the file; it raises many kinds.
    """

    def __init__(self, file: Path, shape: Shape, key: str, preprocessing: Preprocessing = DLINKNET, classes: int = 0):
        try:
            import onnxruntime
        except ImportError as error:
            raise UserError(f"{key}: {file} takes ONNX Runtime, which cannot be imported ({error}): {EXTRA}") from None
        super().__init__(file, shape, preprocessing, classes)
        self.version = onnxruntime.__version__
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3          # errors
        # Without a fallback it does not print lines of its own before it raises.
        self.session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"], enable_fallback=0)

    def _probabilities(self, inputs: np.ndarray) -> np.ndarray:
        return self.session.run(None, {"image": inputs})[0]


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
            raise UserError(f"{key}: {file}: {unlike}; data_layout, class_table and ignore_index must be those of its training")


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
        raise UserError(f"{key}: {file} is for Ascend's own tools; name the checkpoint, a .mindir or an .onnx")
    if kind in (".mindir", ".onnx"):
        return _open_export(file, kind, key, settings)
    device = _started(settings)
    from dlinknet.models.weights import load_trained
    trained = load_trained(file, key, settings.model_name)
    classes, preprocessing = trained.card.known_classes(file, key), trained.card.preprocessing
    return Opened(trained.model, NetworkEngine(trained.network, classes.outputs, preprocessing), device, classes, preprocessing)


def _open_export(file: str, kind: str, key: str, settings: Config) -> Opened:
    card, shape, written_by = sidecar.read(file, key)
    classes, preprocessing = card.known_classes(file, key), card.preprocessing
    if kind == ".onnx":
        engine = _loaded(lambda: OnnxEngine(Path(file), shape, key, preprocessing, card.classes), file, key, "ONNX Runtime")
        return Opened(card.model, engine, f"device: CPU (ONNX Runtime {engine.version})", classes, preprocessing)
    device = _started(settings)
    made = f"MindSpore {runtime.version()} (a file of {written_by})"
    engine = _loaded(lambda: MindirEngine(Path(file), shape, preprocessing, card.classes), file, key, made)
    return Opened(card.model, engine, device, classes, preprocessing)


@cache
def _started(settings: Config) -> str:
    """The device, in words. The first call starts MindSpore there, for all models that a command opens."""
    return str(runtime.start(settings.device_target, settings.device_id, settings.seed, settings.tf32))


def _loaded(load: Callable[[], Loaded], file: str, key: str, by: str) -> Loaded:
    try:
        return load()
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001  (each engine's own kinds)
        raise UserError(f"{key}: {file} cannot be loaded by {by}: {first_line(error)}") from None
