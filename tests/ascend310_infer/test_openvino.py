"""The C++ program with OpenVINO, on a model whose probabilities NumPy computes too."""

import importlib.util
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from dlinknet.inference import description
from dlinknet.inference.description import Shape
from tests.ascend310_infer import build

pytestmark = [
    pytest.mark.skipif(bool(build.lacking()), reason=build.lacking() or "-"),
    pytest.mark.skipif(
        not all(importlib.util.find_spec(name) for name in ("onnx", "openvino")),
        reason="pip install onnx openvino",
    ),
]
SIZE = (64, 96)
WEIGHTS = np.array([1.5, -0.75, 0.25], np.float32)  # of blue, green and red
CARD = {"model": "linknet18", "classes": 1, "threshold": 0.5}
BFLOAT16 = {"avx512_bf16", "amx_bf16"} & set(Path("/proc/cpuinfo").read_text().split())


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """Build the program without the sanitizers: OpenVINO opens libraries as these forbid."""
    if sys.version_info < (3, 10):
        pytest.skip("tested with the later MindSpore")
    config = Path(importlib.util.find_spec("openvino").origin).with_name("cmake")
    return build.built(
        tmp_path_factory.mktemp("cpp") / "build",
        *("openvino", f"-DOpenVINO_DIR={config}", "-DCMAKE_CXX_FLAGS_RELEASE=-O0"),
        OpenVINO_DIR=str(config),
    )


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Make net.onnx, the sigmoid of a weighted sum of the colours, and images of three sizes."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    place = tmp_path_factory.mktemp("openvino")
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "weight"], ["logit"]),
            helper.make_node("Sigmoid", ["logit"], ["probability"]),
        ],
        "colours",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, *SIZE])],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, [1, 1, *SIZE])],
        [numpy_helper.from_array(WEIGHTS.reshape(1, 3, 1, 1), "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    for name in ("net", "other", "int8"):
        onnx.save(model, str(place / f"{name}.onnx"))
        size = (32, 96) if name == "other" else SIZE
        more = {"quantized": {"type": "int8"}} if name == "int8" else {}
        description.write(place / f"{name}.onnx", {**CARD, **Shape(1, size).to_dict(1), **more})
    (place / "damaged.onnx").write_bytes((place / "net.onnx").read_bytes()[:-40])
    (place / "damaged.onnx.json").write_bytes((place / "net.onnx.json").read_bytes())
    (place / "data").mkdir()
    rng = np.random.default_rng(1)
    for number, size in enumerate([SIZE, (50, 70), (150, 230)]):
        cv2.imwrite(
            str(place / "data" / f"m{number}_sat.png"), rng.integers(0, 256, (*size, 3), np.uint8)
        )
    return place


def run(program, work, results, *words, model="net.onnx"):
    return build.run(
        program,
        *(f"--model={model}", "--images=data", f"--results={results}", f"--times={results}.times"),
        *words,
        cwd=work,
        env={"ONEDNN_MAX_CPU_ISA": "DEFAULT"},  # this process has a limit for MindSpore
    )


def differences(work, results):
    """Return, for each image, the largest difference from NumPy's probabilities."""
    found = []
    for file in sorted((work / "data").iterdir()):
        pixels = cv2.imread(str(file)).astype(np.float64) / 255 * 3.2 - 1.6
        expected = 1 / (1 + np.exp(-(pixels @ WEIGHTS)))
        values = np.fromfile(work / results / f"{file.stem}.bin", np.float32)
        found.append(np.abs(values.reshape(expected.shape) - expected).max())
    return found


@pytest.mark.parametrize("words", [(), ("--plain_loop",), ("--precision=float32",)], ids=str)
def test_probabilities_are_numpys(program, work, words):
    result = run(program, work, "results", *words)
    assert result.returncode == 0, result.stderr
    assert "by OpenVINO 20" in result.stdout and "3 of 3 images done" in result.stdout
    assert len(differences(work, "results")) == 3 and max(differences(work, "results")) < 1e-5


@pytest.mark.parametrize("precision", ["bfloat16", "auto"])
def test_bfloat16(program, work, precision):
    result = run(program, work, precision, f"--precision={precision}")
    if not BFLOAT16 and precision == "bfloat16":
        assert result.returncode == 2 and "this CPU does not know bfloat16" in result.stderr
        return
    assert result.returncode == 0, result.stderr
    assert max(differences(work, precision)) < 0.02


@pytest.mark.parametrize(
    "model, words, fault",
    [
        ("other.onnx", (), "other.onnx cannot be loaded by OpenVINO .*is not what its JSON"),
        ("damaged.onnx", (), "damaged.onnx cannot be loaded by OpenVINO "),
        ("net.onnx", ("--precision=enforce_fp16",), "must be float32, bfloat16 or auto for a CPU"),
        ("net.onnx", ("--precision=float64",), "--precision must be .* not 'float64'"),
    ],
)
def test_mistakes_are_one_line(program, work, model, words, fault):
    result = run(program, work, "none", *words, model=model)
    assert result.returncode == 2 and result.stderr.count("\n") == 1, result.stderr
    assert re.search(fault, result.stderr) and len(result.stderr) < 400, result.stderr
    assert "Exception from" not in result.stderr


def test_opencv_refuses_int8(folder, work):
    result = run(folder / "dlinknet_infer", work, "none", model="int8.onnx")
    assert result.returncode == 2
    assert result.stderr == (
        "dlinknet_infer: error: --model: int8.onnx is in int8, which requires a program built with "
        "OpenVINO\n"
    )
