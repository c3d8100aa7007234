"""Quantize an ONNX file to int8 with NNCF, calibrated and measured on the user's images.

The file has QuantizeLinear and DequantizeLinear nodes (QDQ), which ONNX Runtime, OpenVINO and
TensorRT read. Values are signed and symmetric, as TensorRT requires.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import numpy as np

from dlinknet.console import LOG, quiet
from dlinknet.errors import InputError, RunFailed, first_line
from dlinknet.inference.engines import Engine

INSTALL = "pip install nncf onnx onnxruntime"
OPSET = 13  # the first with one scale a channel
EXAMPLES = 32  # inputs for the calibration
LEAST, MOST = 8, 256  # images by which the loss is measured


@dataclass(frozen=True)
class Quantizing:
    """What a quantization is measured by.

    score: computes the figure of an engine over the images, 0 to 1. figure: its name. images: their
    number. calls: how often `score` calls an engine. tolerance: the largest loss of the figure.
    """

    score: Callable[[Engine], float]
    calls: Callable[[Engine], int]
    figure: str
    images: int
    tolerance: float


class Recording:
    """An engine that keeps some of its inputs as files, evenly spread over `calls` calls."""

    def __init__(self, engine: Engine, calls: int, folder: Path):
        self.engine, self.batch, self.size = engine, engine.batch, engine.size
        self.prepare = engine.prepare
        self.folder, self.every, self.seen = folder, -(-calls // EXAMPLES), 0

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        if self.seen % self.every == 0:
            np.save(self.folder / f"{self.seen:06d}.npy", inputs)
        self.seen += 1
        return self.engine(inputs)

    def inputs(self) -> list[Path]:
        """Return the files of the kept inputs."""
        return sorted(self.folder.glob("*.npy"))


def need_nncf() -> None:
    """Raise InputError if NNCF is missing."""
    try:
        _nncf()
    except ImportError as error:
        raise InputError(
            "int8", f"requires NNCF, which cannot be imported ({error}): {INSTALL}"
        ) from None


def quantize(
    file: Path, open_file: Callable[[Path], Engine], quantizing: Quantizing
) -> dict[str, Any]:
    """Replace an ONNX file by its int8 form. Return what the JSON beside it says of it.

    First all layers that NNCF knows become int8. If the figure then loses more than the tolerance,
    NNCF measures which layers cost most, and these stay float32.

    Args:
        file: a float32 file, in a folder for temporary files.
        open_file: returns an engine of a file.

    Raises:
        RunFailed: the loss stays above the tolerance, or NNCF fails.
    """
    before, inputs = _measured(file, open_file(file), quantizing)
    try:
        model, after = _int8(file, inputs, before, open_file, quantizing)
    except RunFailed:
        raise
    except Exception as error:  # noqa: BLE001  (NNCF and ONNX Runtime raise many kinds)
        raise RunFailed(f"{file.name}: NNCF cannot quantize it: {first_line(error)}") from None
    if not before - after <= quantizing.tolerance:
        raise RunFailed(
            f"{file.name}: int8 costs {before - after:.4f} of {quantizing.figure} ({before:.4f} to "
            f"{after:.4f}), and quantize_tolerance is {quantizing.tolerance:g}; calibrate on more "
            "images, or accept a larger loss"
        )
    model = _signed(model)
    _save(model, file)
    kept = _float_layers(model)
    LOG.info(
        "%s: %s %.4f in int8, %+.4f; %d of %d layers stay float32",
        file.name,
        quantizing.figure,
        after,
        after - before,
        len(kept),
        _layers(model),
    )
    return {
        "quantized": {
            "type": "int8",
            "figure": quantizing.figure,
            "images": quantizing.images,
            "before": before,
            "after": after,
            "float_layers": kept,
        }
    }


def _measured(file: Path, engine: Engine, quantizing: Quantizing) -> tuple[float, list[Path]]:
    """Return (the figure of the float32 file, the inputs for the calibration)."""
    folder = file.parent / "calibration"
    folder.mkdir()
    recording = Recording(engine, quantizing.calls(engine), folder)
    before, inputs = quantizing.score(recording), recording.inputs()
    LOG.info(
        "%s: %s %.4f in float32, on %d images; calibrating on %d inputs",
        file.name,
        quantizing.figure,
        before,
        quantizing.images,
        len(inputs),
    )
    return before, inputs


def _int8(
    file: Path,
    inputs: list[Path],
    before: float,
    open_file: Callable[[Path], Engine],
    quantizing: Quantizing,
) -> tuple[Any, float]:
    """Return (the int8 model, its figure), with layers in float32 if int8 costs too much."""
    scratch = file.with_name("int8.onnx")

    def score_of(model: Any) -> float:
        _save(_signed(model), scratch)
        return quantizing.score(open_file(scratch))

    model = _load(file)
    with _silence():
        found = _all_int8(model, inputs)
    after = score_of(found)
    if before - after > quantizing.tolerance:
        LOG.info(
            "%s: %s %.4f in int8; looking for the layers that cost most",
            file.name,
            quantizing.figure,
            after,
        )
        with _silence():
            found = _most_int8(model, inputs, score_of, quantizing.tolerance)
        after = score_of(found)
    return found, after


@contextmanager
def _silence() -> Iterator[None]:
    """Hide NNCF's progress bars, which it prints on stdout, and the warnings of its packages."""
    with quiet(native=True), open(os.devnull, "w") as null, redirect_stdout(null):
        yield


def _nncf() -> Any:
    """Return the module NNCF, which would otherwise report its use to its authors."""
    os.environ.setdefault("NNCF_CI", "1")  # NNCF's switch for its telemetry
    import nncf

    nncf.set_log_level(logging.ERROR)
    return nncf


def _load(file: Path) -> Any:
    """Return an ONNX file as a model of OPSET."""
    import onnx
    from onnx import version_converter

    return version_converter.convert_version(onnx.load(str(file)), OPSET)


def _save(model: Any, file: Path) -> None:
    import onnx

    onnx.save(model, str(file))


def _all_int8(model: Any, inputs: list[Path]) -> Any:
    return _nncf().quantize(model, **_choices(inputs))


def _most_int8(
    model: Any, inputs: list[Path], score_of: Callable[[Any], float], tolerance: float
) -> Any:
    nncf = _nncf()
    return nncf.quantize_with_accuracy_control(
        model,
        validation_dataset=nncf.Dataset(inputs),
        validation_fn=lambda model, _: (score_of(model), None),
        max_drop=tolerance,
        drop_type=nncf.DropType.ABSOLUTE,
        **_choices(inputs),
    )


def _choices(inputs: list[Path]) -> dict[str, Any]:
    """Return NNCF's arguments that both ways of quantizing share."""
    nncf = _nncf()
    return {
        "calibration_dataset": nncf.Dataset(inputs, lambda file: {"image": np.load(file)}),
        "subset_size": len(inputs),
        "preset": nncf.QuantizationPreset.PERFORMANCE,  # symmetric values
    }


def _signed(model: Any) -> Any:
    """Return a copy in which unsigned values are signed ones, which TensorRT requires.

    NNCF uses 0 to 255 behind a ReLU. 0 to 127 in steps of twice the size spans the same range.
    """
    from onnx import ModelProto, numpy_helper

    unsigned, model = model, ModelProto()
    model.CopyFrom(unsigned)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    changed: dict[str, str] = {}

    def replaced(name: str, value: np.ndarray) -> str:
        if name not in changed:
            changed[name] = f"{name}_signed"
            model.graph.initializer.append(numpy_helper.from_array(value, changed[name]))
        return changed[name]

    for node in model.graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            continue
        zero = numpy_helper.to_array(constants[node.input[2]])
        if zero.dtype != np.uint8 or zero.any():
            continue
        scale = numpy_helper.to_array(constants[node.input[1]])
        node.input[1] = replaced(node.input[1], (scale * (255 / 127)).astype(scale.dtype))
        node.input[2] = replaced(node.input[2], zero.astype(np.int8))
    del model.graph.value_info[:]  # the types of values between the nodes
    _drop_unused(model.graph)
    return model


def _drop_unused(graph: Any) -> None:
    """Remove the constants that no node reads."""
    read = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _layers(model: Any) -> int:
    return sum(node.op_type in ("Conv", "ConvTranspose") for node in model.graph.node)


def _float_layers(model: Any) -> list[str]:
    """Return the names of the convolutions whose input is not int8."""
    makers = {name: node.op_type for node in model.graph.node for name in node.output}
    return [
        node.name
        for node in model.graph.node
        if node.op_type in ("Conv", "ConvTranspose")
        and makers.get(node.input[0]) != "DequantizeLinear"
    ]
