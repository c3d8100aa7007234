"""Open a trained model for prediction: a checkpoint, an exported MINDIR or ONNX file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Callable, TypeVar

from dlinknet.checkpoints.model_card import ModelCard
from dlinknet.data.classes import Classes, names_unlike
from dlinknet.devices import runtime
from dlinknet.errors import InputError, UserError, first_line
from dlinknet.inference import description
from dlinknet.inference.engines import Engine, MindirEngine, NetworkEngine
from dlinknet.inference.onnx_engines import DEFAULTS, OnnxOptions, open_onnx

Loaded = TypeVar("Loaded")


@dataclass(frozen=True)
class Opened:
    """A trained model that is ready to compute.

    engine: computes probabilities. device: its device, in words. card: the model's card. classes:
    the meaning of its maps.
    """

    engine: Engine
    device: str
    card: ModelCard
    classes: Classes

    def need_classes(self, classes: Classes, file: str) -> None:
        """Raise InputError if the model was trained for other classes than the masks have."""
        unlike = names_unlike(self.classes.names, classes.names, "model")
        if unlike:
            raise InputError(
                file,
                f"does not fit the masks: {unlike}; the layout, the class table and the use of "
                "void must be those of its training",
            )


def open_model(
    file: str,
    start: Callable[[], str],
    model: str = "dlinknet34",
    onnx: OnnxOptions = DEFAULTS,
) -> Opened:
    """Open a trained model: .mindir, .onnx, or a checkpoint of any other ending.

    Args:
        start: starts MindSpore and returns the device, in words. It is not called for an ONNX file.
        model: the name of the network, for a checkpoint that does not say it.
        onnx: how an ONNX file is computed.

    Raises:
        InputError: the file is missing, damaged or of an unknown kind, or a package is missing.
    """
    kind = Path(file).suffix.lower()
    if kind == ".air":
        raise InputError(
            file, "is for Ascend's own tools; name the checkpoint, a .mindir or an .onnx"
        )
    if kind == ".om":
        raise InputError(
            file,
            "is for the C++ program; name the checkpoint, a .mindir or an .onnx, or compare the "
            "folder of the program's results",
        )
    if kind in (".mindir", ".onnx"):
        return _open_export(file, kind, start, onnx)
    device = start()
    from dlinknet.checkpoints.load import load_trained

    trained = load_trained(file, model)
    card, classes = trained.card, trained.card.known_classes(file)
    engine = NetworkEngine(trained.network, classes.outputs, card.preprocessing)
    return Opened(engine, device, card, classes)


def _open_export(file: str, kind: str, start: Callable[[], str], onnx: OnnxOptions) -> Opened:
    card, shape, written_by = description.read(file)
    classes = card.known_classes(file)
    if kind == ".onnx":
        on_cpu = _loaded(
            lambda: open_onnx(Path(file), shape, card.preprocessing, card.classes, onnx),
            file,
            "ONNX Runtime" if onnx.engine == "onnxruntime" else "OpenVINO or ONNX Runtime",
        )
        return Opened(on_cpu, f"device: CPU ({on_cpu.name})", card, classes)
    device = start()
    engine = _loaded(
        lambda: MindirEngine(Path(file), shape, card.preprocessing, card.classes),
        file,
        f"MindSpore {runtime.version()} (a file of {written_by})",
    )
    return Opened(engine, device, card, classes)


def _loaded(load: Callable[[], Loaded], file: str, by: str) -> Loaded:
    try:
        return load()
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001  (each engine's own kinds)
        raise InputError(file, f"cannot be loaded by {by}: {first_line(error)}") from None
