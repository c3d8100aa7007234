"""Which engine computes an ONNX file. What OpenVINO computes is tested in tests/commands."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dlinknet.data.preprocess import DLINKNET
from dlinknet.errors import InputError
from dlinknet.inference import onnx_engines
from dlinknet.inference.description import Shape
from dlinknet.inference.onnx_engines import OnnxEngine, OnnxOptions, OpenVinoEngine, open_onnx
from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime")),
    reason="pip install -r requirements-onnx.txt",
)
needs_openvino = pytest.mark.skipif(
    not importlib.util.find_spec("openvino"), reason="pip install openvino"
)


@pytest.fixture
def file(tmp_path):
    """Return an ONNX file that computes the sigmoid of the blue plane."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weight = np.zeros((1, 3, 1, 1), np.float32)
    weight[0, 0] = 1
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "weight"], ["logit"]),
            helper.make_node("Sigmoid", ["logit"], ["probability"]),
        ],
        "blue",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 32, 32])],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, [1, 1, 32, 32])],
        [numpy_helper.from_array(weight, "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(tmp_path / "blue.onnx"))
    return tmp_path / "blue.onnx"


def opened(file, *options):
    return open_onnx(file, Shape(1, (32, 32)), DLINKNET, 1, OnnxOptions(*options))


@pytest.mark.parametrize("engine", ["onnxruntime", pytest.param("openvino", marks=needs_openvino)])
def test_both_compute(file, engine):
    inputs = np.random.default_rng(1).normal(size=(1, 3, 32, 32)).astype(np.float32)
    model = opened(file, engine)
    np.testing.assert_allclose(model(inputs)[0], 1 / (1 + np.exp(-inputs[0, 0])), atol=1e-6)
    kind, name = {
        "onnxruntime": (OnnxEngine, "ONNX Runtime "),
        "openvino": (OpenVinoEngine, "OpenVINO 20"),
    }[engine]
    assert type(model) is kind and model.name.startswith(name)


@needs_openvino
def test_auto_takes_openvino(file):
    assert type(opened(file)) is OpenVinoEngine


@needs_openvino
def test_mindspores_limit_of_instructions_is_not_openvinos():
    """Its oneDNN is loaded in another process, because a process reads the limit once."""
    code = (
        "import os; os.environ['ONEDNN_MAX_CPU_ISA'] = 'AVX2'\n"
        "from dlinknet.inference import onnx_engines as engines\n"
        "print(engines._has_bfloat16(engines._open_vino('f')), os.environ['ONEDNN_MAX_CPU_ISA'])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    if "avx512_bf16" not in flags and "amx_bf16" not in flags:
        pytest.skip("this CPU has no bfloat16")
    assert result.stdout.split() == ["True", "AVX2"], result.stderr


def test_auto_takes_onnx_runtime_where_openvino_is_missing(file, monkeypatch):
    monkeypatch.setattr(onnx_engines.importlib.util, "find_spec", lambda name: None)
    assert type(opened(file, "auto", "auto")) is OnnxEngine


def test_openvino_that_is_missing_is_named(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    onnx_engines._core.cache_clear()
    with pytest.raises(InputError, match="requires OpenVINO.*pip install openvino"):
        opened(file, "openvino")


@pytest.mark.parametrize("engine", ["onnxruntime", "auto"])
def test_onnx_runtime_has_no_bfloat16(file, monkeypatch, engine):
    monkeypatch.setattr(onnx_engines.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="bfloat16: requires OpenVINO|bfloat16 requires OpenVINO"):
        opened(file, engine, "bfloat16")


@needs_openvino
def test_a_cpu_without_bfloat16(file, monkeypatch):
    monkeypatch.setattr(onnx_engines, "_has_bfloat16", lambda core: False)
    with pytest.raises(InputError, match="bfloat16 is unknown to this CPU"):
        opened(file, "openvino", "bfloat16")
    assert opened(file, "openvino", "auto").name.endswith("float32")


@pytest.mark.parametrize("options", [("tensorrt",), ("auto", "float16")])
def test_what_is_no_engine_and_no_precision(options):
    with pytest.raises(InputError, match="is no engine with a precision"):
        opened(Path("none.onnx"), *options)
