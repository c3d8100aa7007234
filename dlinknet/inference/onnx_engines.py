"""Engines for ONNX files on the CPU, without MindSpore: OpenVINO and ONNX Runtime.

OpenVINO is faster, needs less memory, and can compute in bfloat16 where the CPU can.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dlinknet.console import quiet
from dlinknet.data.preprocess import DLINKNET, Preprocessing
from dlinknet.errors import InputError
from dlinknet.inference.description import Shape
from dlinknet.inference.engines import ExportedEngine
from dlinknet.threads import usable_cores

INSTALL = "pip install onnx onnxruntime"
INSTALL_OPENVINO = "pip install openvino"
ENGINES = ("auto", "openvino", "onnxruntime")
PRECISIONS = ("float32", "bfloat16", "auto")


class OnnxOptions(NamedTuple):
    """How an ONNX file is computed.

    engine: 'auto' (OpenVINO if it is installed, else ONNX Runtime), 'onnxruntime' or 'openvino'.
    precision: 'float32', 'bfloat16', or 'auto' (bfloat16 if OpenVINO and the CPU know it).
    """

    engine: str = "auto"
    precision: str = "float32"


DEFAULTS = OnnxOptions()


class OnnxEngine(ExportedEngine):
    """An ONNX file, which ONNX Runtime computes in float32.

    Attributes:
        name: the engine, its version and its precision, in words.

    Raises:
        InputError: ONNX Runtime is missing.
        Exception: it cannot load the file; it raises many kinds.
    """

    def __init__(
        self,
        file: Path,
        shape: Shape,
        preprocessing: Preprocessing = DLINKNET,
        classes: int = 0,
    ):
        try:
            import onnxruntime
        except ImportError as error:
            raise InputError(
                file, f"requires ONNX Runtime, which cannot be imported ({error}): {INSTALL}"
            ) from None
        super().__init__(file, shape, preprocessing, classes)
        self.name = f"ONNX Runtime {onnxruntime.__version__}"
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors
        # Without a fallback it does not print lines of its own before it raises.
        self.session = onnxruntime.InferenceSession(
            str(file), options, providers=["CPUExecutionProvider"], enable_fallback=0
        )

    def _probabilities(self, inputs: np.ndarray) -> np.ndarray:
        return self.session.run(None, {"image": inputs})[0]


class OpenVinoEngine(ExportedEngine):
    """An ONNX file, which OpenVINO computes.

    Args:
        precision: as in OnnxOptions. The layers of an int8 file that are not int8 have it too.

    Attributes:
        name: the engine, its version and its precision, in words.

    Raises:
        InputError: OpenVINO is missing, or the CPU has no bfloat16.
        Exception: it cannot load the file; it raises many kinds.
    """

    def __init__(
        self,
        file: Path,
        shape: Shape,
        preprocessing: Preprocessing = DLINKNET,
        classes: int = 0,
        precision: str = "float32",
    ):
        core = _open_vino(file)
        super().__init__(file, shape, preprocessing, classes)
        if precision == "auto":
            precision = "bfloat16" if _has_bfloat16(core) else "float32"
        if precision == "bfloat16" and not _has_bfloat16(core):
            raise InputError("bfloat16", "is unknown to this CPU; leave cpu_precision at float32")
        from openvino import get_version

        self.name = f"OpenVINO {get_version().split('-')[0]}, {precision}"
        choices = {
            "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision],
            "PERFORMANCE_HINT": "LATENCY",  # all cores compute one batch
            "INFERENCE_NUM_THREADS": usable_cores(),
        }
        # For a damaged file OpenVINO tries all formats that it reads, and these print lines.
        with _all_instructions(), quiet(native=True):
            self.network = core.compile_model(core.read_model(str(file)), "CPU", choices)

    def _probabilities(self, inputs: np.ndarray) -> np.ndarray:
        return self.network({"image": inputs})[0]


def open_onnx(
    file: Path, shape: Shape, preprocessing: Preprocessing, classes: int, options: OnnxOptions
) -> OnnxEngine | OpenVinoEngine:
    """Open an ONNX file with the engine that the options ask for.

    Raises:
        InputError: a package is missing, the engine or the CPU has no such precision, or there is
            no such engine or precision.
        Exception: the engine cannot load the file; it raises many kinds.
    """
    engine = options.engine
    if engine not in ENGINES or options.precision not in PRECISIONS:
        raise InputError(
            f"{engine}, {options.precision}",
            f"is no engine with a precision: they are {', '.join(ENGINES)} and "
            f"{', '.join(PRECISIONS)}",
        )
    if engine == "auto":
        engine = "openvino" if importlib.util.find_spec("openvino") else "onnxruntime"
    if engine == "openvino":
        return OpenVinoEngine(file, shape, preprocessing, classes, options.precision)
    if options.precision == "bfloat16":
        raise InputError(
            "bfloat16", f"requires OpenVINO, ONNX Runtime has none on CPUs: {INSTALL_OPENVINO}"
        )
    return OnnxEngine(file, shape, preprocessing, classes)


def _open_vino(file: Path) -> Any:
    """Return OpenVINO's core.

    Raises:
        InputError: OpenVINO is missing.
    """
    try:
        with _all_instructions():
            return _core()
    except (ImportError, RuntimeError) as error:
        raise InputError(
            file, f"requires OpenVINO, which cannot be used ({error}): {INSTALL_OPENVINO}"
        ) from None


@cache
def _core() -> Any:
    """Return OpenVINO's core, with its library for the CPU loaded."""
    import openvino

    core = openvino.Core()
    core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")  # loads the library and its oneDNN
    return core


@contextmanager
def _all_instructions() -> Iterator[None]:
    """Hide a limit of devices/runtime.py, which is for MindSpore's oneDNN, from OpenVINO's own.

    OpenVINO would have no bfloat16 with it.
    """
    limit = os.environ.pop("ONEDNN_MAX_CPU_ISA", None)
    try:
        yield
    finally:
        if limit is not None:
            os.environ["ONEDNN_MAX_CPU_ISA"] = limit


def _has_bfloat16(core: Any) -> bool:
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
