"""A trained model of any kind, opened for prediction: a checkpoint, an exported MINDIR or ONNX file."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Callable, TypeVar

import numpy as np

from dlinknet import runtime
from dlinknet.config import Config
from dlinknet.data.preprocess import to_input
from dlinknet.deploy import sidecar
from dlinknet.deploy.onnx import EXTRA
from dlinknet.deploy.sidecar import Shape
from dlinknet.errors import UserError
from dlinknet.evaluation.engine import Engine, NetworkEngine

Loaded = TypeVar("Loaded")


class _ExportedEngine:
    """What exported models share as engines (evaluation/engine.py): their shape, and who prepares pixels."""

    def __init__(self, shape: Shape):
        self.batch, self.size, self.pixels = shape.batch, None if shape.dynamic else shape.size, shape.pixels

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        return pixels if self.pixels else to_input(pixels)


class MindirEngine(_ExportedEngine):
    """A MINDIR file, on the device that MindSpore was started on.

    Raises:
        Exception: MindSpore cannot load it; it raises many kinds.
    """

    def __init__(self, file: Path, shape: Shape):
        import mindspore as ms
        from mindspore import nn
        from dlinknet.models.weights import quiet
        super().__init__(shape)
        with quiet(native=True):
            self.graph = nn.GraphCell(ms.load(str(file)))

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        from mindspore import Tensor
        return self.graph(Tensor(inputs)).asnumpy()[:, 0]


class OnnxEngine(_ExportedEngine):
    """An ONNX file by ONNX Runtime on the CPU, for which MindSpore is not needed.

    Raises:
        UserError: ONNX Runtime is missing.
        Exception: it cannot load the file; it raises many kinds.
    """

    def __init__(self, file: Path, shape: Shape, key: str):
        try:
            import onnxruntime
        except ImportError as error:
            raise UserError(f"{key}: {file} takes ONNX Runtime, which cannot be imported ({error}): {EXTRA}") from None
        super().__init__(shape)
        self.version = onnxruntime.__version__
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3          # errors
        self.session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        return self.session.run(None, {"image": inputs})[0][:, 0]


@dataclass(frozen=True)
class Opened:
    """A model that computes, its name, and where it does."""

    model: str
    engine: Engine
    device: str


def open_model(file: str, key: str, settings: Config) -> Opened:
    """Opens a trained model; a file's ending says what it is: .mindir, .onnx, any other a checkpoint.

    MindSpore is started on the settings' device, but for ONNX files, which do without it.

    Args:
        key: the setting that named the file, for the error's line.

    Raises:
        UserError: the file is missing, damaged or of a kind that is not known here, or a package is missing.
    """
    kind = Path(file).suffix.lower()
    if kind == ".air":
        raise UserError(f"{key}: {file} is for Ascend's own tools; name the checkpoint, a .mindir or an .onnx")
    if kind == ".onnx":
        values, shape = sidecar.read(file, key)
        engine = _loaded(lambda: OnnxEngine(Path(file), shape, key), file, key, "ONNX Runtime")
        return Opened(values["model"], engine, f"device: CPU (ONNX Runtime {engine.version})")
    if kind == ".mindir":
        values, shape = sidecar.read(file, key)
        device = runtime.start(settings.device_target, settings.device_id, settings.seed, settings.tf32)
        made = f"MindSpore {runtime.version()} (a file of {values.get('mindspore')})"
        return Opened(values["model"], _loaded(lambda: MindirEngine(Path(file), shape), file, key, made), str(device))
    device = runtime.start(settings.device_target, settings.device_id, settings.seed, settings.tf32)
    from dlinknet.models.weights import load_trained
    model, network = load_trained(file, key, settings.model_name)
    return Opened(model, NetworkEngine(network), str(device))


def _loaded(load: Callable[[], Loaded], file: str, key: str, by: str) -> Loaded:
    try:
        return load()
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001  (each engine's own kinds)
        lines = [line for line in str(error).splitlines() if line.strip(" -")]
        raise UserError(f"{key}: {file} cannot be loaded by {by}: {(lines or ['no reason given'])[0][:300]}") from None
