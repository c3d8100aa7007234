"""export.py, profile and parity as a user runs them; eval.py and predict.py on the exports."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from dlinknet.inference.description import path_of, sha256
from tests.conftest import ROOT, call, refused, stripes, write_pair

FORMATS = [
    "MINDIR",
    *(["ONNX"] if all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime")) else []),
]
HAS_OPENVINO = importlib.util.find_spec("openvino") is not None
# Of the CPU's instructions, as Linux lists them.
BFLOAT16 = Path("/proc/cpuinfo").exists() and not {"avx512_bf16", "amx_bf16"}.isdisjoint(
    Path("/proc/cpuinfo").read_text().split()
)
HAS_NNCF = importlib.util.find_spec("nncf") is not None
needs_onnx = pytest.mark.skipif(
    "ONNX" not in FORMATS, reason="pip install -r requirements-onnx.txt"
)


@pytest.fixture(scope="module")
def work(spread_checkpoint, tmp_path_factory):
    """Make images of 60 x 64 with masks, and a checkpoint's exports for 64 x 96 in every format."""
    folder = tmp_path_factory.mktemp("export")
    for number in range(3):
        write_pair(folder / "data", f"m{number}", *stripes(number, 60, 64), folder / "masks")
    result = call(
        "export.py",
        f"--trained_ckpt={spread_checkpoint('linknet18')}",
        "--file_name=./out/net",
        f"--file_format={','.join(FORMATS)}",
        "--batch_size=2",
        "--width=96",
        "--height=64",
        "--sample_image=data/m0_sat.jpg",
        cwd=folder,
    )
    assert result.returncode == 0, result.stderr
    return folder, spread_checkpoint("linknet18"), result.stdout


def test_the_files_and_what_is_said_of_them(work):
    folder, _, said = work
    names = {f"net.{name.lower()}" for name in FORMATS}
    assert {path.name for path in (folder / "out").iterdir()} == names | {
        name + ".json" for name in names
    }
    assert "input 2 x 3 x 64 x 96, BatchNorm folded" in said
    for name in names:
        assert f"{name}: " in said and "gives the checkpoint's probabilities (" in said
        values = json.loads((folder / "out" / f"{name}.json").read_text())
        assert values["checkpoint"] == "random.ckpt" and max(values["compared"].values()) < 1e-5


def test_parity_evaluation_and_prediction_with_exports(work):
    folder, checkpoint, _ = work
    exports = ",".join(f"out/net.{name.lower()}" for name in FORMATS)
    result = call(
        "parity",
        "--data_path=data",
        "--label_path=masks",
        f"--trained_ckpt={checkpoint}",
        f"--exports={exports}",
        "--device_target=CPU",
        "--as_json",
        cwd=folder,
    )
    assert result.returncode == 0, result.stderr
    rows = json.loads(result.stdout)
    assert [row["model"] for row in rows] == [str(checkpoint), *exports.split(",")]
    assert all(
        row["largest_difference"] < 1e-5
        and row["pixels_changed"] == 0
        and row["pixels"] == 3 * 60 * 64
        for row in rows
    )
    assert len({row["road_iou"] for row in rows}) == 1 and 0 < rows[0]["road_iou"] < 1
    for name in FORMATS:
        model = f"out/net.{name.lower()}"
        result = call(
            "eval.py",
            "--data_path=data",
            "--label_path=masks",
            f"--trained_ckpt={model}",
            "--predict_path=scored",
            "--device_target=CPU",
            cwd=folder,
        )
        assert result.returncode == 0 and f"road_iou: {rows[0]['road_iou']:.4f}" in result.stdout, (
            result.stderr
        )
        result = call(
            "predict.py",
            "--data_path=data",
            f"--trained_ckpt={model}",
            "--predict_path=found",
            "--device_target=CPU",
            cwd=folder,
        )
        assert result.returncode == 0 and f"linknet18 from {model}, 3 images" in result.stdout, (
            result.stderr
        )
        for number in range(3):
            masks = [
                cv2.imread(str(folder / place / f"m{number}_mask.png"), 0)
                for place in ("scored", "found")
            ]
            assert np.array_equal(*masks) and 0 < masks[0].mean() < 255
        refused(
            call(
                "predict.py",
                "--data_path=data",
                f"--trained_ckpt={model}",
                "--predict_path=found",
                "--tta",
                "--device_target=CPU",
                cwd=folder,
            ),
            "tta: a model of 96x64 pixels has no views that are turned by a quarter",
        )


@pytest.mark.long
@needs_onnx
def test_pixels_of_any_size_in_eight_views(work):
    folder, checkpoint, _ = work
    result = call(
        "export.py",
        f"--trained_ckpt={checkpoint}",
        "--file_name=any/net",
        "--file_format=ONNX",
        "--dynamic",
        "--pixel_input",
        "--batch_size=1",
        "--width=64",
        "--height=64",
        cwd=folder,
    )
    assert result.returncode == 0 and "input any x any x any x 3" in result.stdout, result.stderr
    found = []
    for model in (checkpoint, "any/net.onnx"):
        result = call(
            "predict.py",
            "--data_path=data",
            f"--trained_ckpt={model}",
            "--predict_path=eight",
            "--tta",
            "--probabilities=npy",
            "--tile_size=64",
            "--tile_overlap=32",
            "--device_target=CPU",
            cwd=folder,
        )
        assert result.returncode == 0, result.stderr
        found.append(
            np.stack(
                [np.load(folder / "eight" / f"m{number}_probability.npy") for number in range(3)]
            )
        )
    assert (
        found[0].shape == (3, 60, 64)
        and np.ptp(found[0]) > 0.05
        and np.abs(found[0] - found[1]).max() < 1e-5
    )


@needs_onnx
def test_an_onnx_file_does_without_mindspore(work):
    folder, _, _ = work
    without = (
        "import sys; sys.modules['mindspore'] = None; sys.path.insert(0, sys.argv.pop(1)); "
        "from dlinknet.__main__ import run; run('eval')"
    )
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            without,
            str(ROOT),
            "--data_path=data",
            "--label_path=masks",
            "--trained_ckpt=out/net.onnx",
            "--predict_path=bare",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    engine = "OpenVINO" if HAS_OPENVINO else "ONNX Runtime"
    assert result.returncode == 0 and f"device: CPU ({engine}" in result.stdout, result.stderr
    assert (folder / "bare" / "m0_mask.png").is_file()


@needs_onnx
@pytest.mark.skipif(not HAS_OPENVINO, reason="pip install openvino")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_openvino_and_a_checkpoint_in_one_process(work, precision):
    bfloat16 = precision == "bfloat16"
    if bfloat16 and not BFLOAT16:
        pytest.skip("this CPU has no bfloat16")
    folder, checkpoint, _ = work
    words = [f"--trained_ckpt={checkpoint}", "--exports=out/net.onnx", "--device_target=CPU"]
    words += ["--data_path=data", "--label_path=masks", "--engine=openvino"]
    result = call("parity", *words, f"--cpu_precision={precision}", cwd=folder)
    assert result.returncode == 0, result.stderr
    assert "device: CPU (OpenVINO 20" in result.stdout and f", {precision})" in result.stdout
    difference = float(result.stdout.splitlines()[-1].split()[1])
    # bfloat16 has 8 bits, so it must differ more than float32, but not much.
    least, most = (1e-5, 0.02) if bfloat16 else (0, 1e-5)
    assert least < difference < most


@needs_onnx
@pytest.mark.skipif(not HAS_NNCF, reason="pip install nncf")
def test_an_int8_export_is_measured_on_the_users_images(work):
    folder, checkpoint, _ = work
    for number in range(8):
        write_pair(folder / "calibration", f"c{number}", *stripes(number, 60, 64))
    words = [f"--trained_ckpt={checkpoint}", "--file_format=ONNX", "--width=64", "--height=64"]
    words += ["--file_name=int8/net", "--batch_size=2", "--quantize=int8"]
    words += ["--calibration_path=calibration", "--quantize_tolerance=0.3"]
    result = call("export.py", *words, cwd=folder)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert [" road_iou " in line for line in lines].count(True) == 2 and all(
        line[:2] == "20" for line in lines
    )
    told = json.loads((folder / "int8" / "net.onnx.json").read_text())
    quantized = told["quantized"]
    assert quantized["type"] == "int8" and quantized["images"] == 8
    (name, difference), *none = told["compared"].items()
    assert name.endswith(", int8") and not none and 1e-4 < difference < 0.3
    scored = {}
    for model, engine in ((checkpoint, "auto"), ("int8/net.onnx", "onnxruntime")):
        result = call(
            "eval.py",
            "--data_path=calibration",
            "--label_path=calibration",
            f"--trained_ckpt={model}",
            "--predict_path=int8_scored",
            "--device_target=CPU",
            f"--engine={engine}",
            cwd=folder,
        )
        assert result.returncode == 0, result.stderr
        figures = json.loads((folder / "int8_scored" / "figures.json").read_text())
        scored[model] = figures["road_iou"]
    assert abs(scored[checkpoint] - quantized["before"]) < 1e-3
    assert scored["int8/net.onnx"] == pytest.approx(quantized["after"], abs=1e-12)


@needs_onnx
@pytest.mark.parametrize(
    "words, fault",
    [
        (["--file_format=MINDIR"], "quantize: int8 requires --file_format=ONNX, not MINDIR"),
        ([], "calibration_path is empty"),
        (["--calibration_path=none"], "calibration_path: cannot read the folder none"),
        (["--calibration_path=data"], "calibration_path: data"),
        (
            ["--calibration_path=data", "--calibration_label_path=masks"],
            "calibration_path: data has 3 images with masks; quantize requires at least 8",
        ),
    ],
)
def test_a_quantization_without_what_it_needs(work, words, fault):
    if not HAS_NNCF:
        pytest.skip("pip install nncf")
    folder, checkpoint, _ = work
    result = call(
        "export.py",
        f"--trained_ckpt={checkpoint}",
        "--file_name=./other",
        "--file_format=ONNX",
        "--quantize=int8",
        *words,
        cwd=folder,
    )
    refused(result, fault)
    assert not list(folder.glob("other*"))


@pytest.mark.parametrize(
    "setting, fault",
    [
        ("--engine=openvino", "engine: openvino computes .onnx files only"),
        ("--cpu_precision=bfloat16", "cpu_precision: bfloat16 is for .onnx files"),
    ],
)
def test_settings_of_onnx_files_for_a_checkpoint(work, setting, fault):
    folder, checkpoint, _ = work
    words = [f"--trained_ckpt={checkpoint}", "--data_path=data", "--predict_path=unused", setting]
    refused(call("predict.py", *words, cwd=folder), fault)
    assert not (folder / "unused").exists()


@needs_onnx
def test_a_package_that_is_missing_is_named(work):
    folder, checkpoint, _ = work
    without = (
        "import sys; sys.modules.update(onnxruntime=None, openvino=None); "
        "sys.path.insert(0, sys.argv[1]); "
        "sys.argv = ['{0}.py', *sys.argv[2:]]; from dlinknet.__main__ import run; run('{0}')"
    )
    for name, arguments, key in [
        (
            "export",
            [f"--trained_ckpt={checkpoint}", "--file_name=./other", "--file_format=MINDIR,ONNX"],
            "file_format: ONNX",
        ),
        (
            "predict",
            ["--data_path=data", "--trained_ckpt=out/net.onnx", "--predict_path=p"],
            "trained_ckpt: out/net.onnx",
        ),
    ]:
        result = subprocess.run(
            [sys.executable, "-c", without.format(name), str(ROOT), *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
        )
        refused(result, key, "pip install onnx onnxruntime")
    assert not list(folder.glob("other*"))


@pytest.mark.parametrize(
    "arguments, words",
    [
        (
            ["--file_format=AIR"],
            "file_format: AIR requires an Ascend, and there is none",
        ),
        (["--file_format=AIR,ONNX", "--dynamic"], "dynamic: AIR has one size"),
        (["--file_format=MINDIR,PTH"], "file_format must be one of MINDIR, AIR, ONNX, not 'PTH'"),
        (["--num_channels=4"], "num_channels: the networks accept 3 channels, not 4"),
        (
            ["--width=100"],
            "width must be at least 32 and at most 65536 and a multiple of 32, not 100",
        ),
        (["--file_name=./"], "file_name must name a file, not './'"),
        (["--file_name=."], "file_name must name a file, not '.'"),
        (["--file_name=data.x/net"], "data.x is a file; name a folder"),
        (["--sample_image=none.jpg"], "sample_image: there is no file none.jpg"),
        (["--sample_image=data.x"], "data.x: is no image"),
        (["--trained_ckpt=none.ckpt"], "trained_ckpt: there is no file none.ckpt"),
        (["--trained_ckpt=data.x"], "trained_ckpt: data.x is not a whole MindSpore checkpoint"),
    ],
)
def test_export_refuses_in_one_line(work, arguments, words):
    folder, checkpoint, _ = work
    (folder / "data.x").write_text("text")
    given = (
        []
        if any(argument.startswith("--file_name") for argument in arguments)
        else ["--file_name=./never"]
    )
    refused(
        call("export.py", f"--trained_ckpt={checkpoint}", *given, *arguments, cwd=folder), words
    )
    assert not list(folder.glob("never*")) and not list(folder.glob(".never*"))


def test_the_file_lands_beside_the_command_where_no_folder_is_named(work, tmp_path):
    """The model zoo's export does the same.

    The test makes the target a folder, because it must not write into the project's folder.
    """
    folder, checkpoint, _ = work
    (ROOT / "taken_by_a_test.mindir").mkdir()
    try:
        refused(
            call(
                "export.py",
                f"--trained_ckpt={checkpoint}",
                "--file_name=taken_by_a_test",
                cwd=tmp_path,
            ),
            f"file_name: {ROOT / 'taken_by_a_test.mindir'} is a folder",
        )
    finally:
        (ROOT / "taken_by_a_test.mindir").rmdir()


def test_exports_that_cannot_be_taken(work):
    folder, checkpoint, _ = work
    lonely = folder / "lonely.mindir"
    lonely.write_bytes(b"x")
    (folder / "a.air").write_bytes(b"x")
    for name, words in [
        ("lonely.mindir", "lonely.mindir.json is missing"),
        ("a.air", "a.air is for Ascend's own tools"),
        ("none.onnx", "there is no file none.onnx"),
    ]:
        refused(
            call(
                "predict.py",
                "--data_path=data",
                f"--trained_ckpt={name}",
                "--predict_path=p",
                cwd=folder,
            ),
            f"trained_ckpt: {name}" if "no file" not in words else "trained_ckpt",
            words,
        )

    values = json.loads(path_of(folder / "out" / "net.mindir").read_text())
    path_of(lonely).write_text(json.dumps({**values, "sha256": sha256(lonely)}))
    refused(
        call(
            "predict.py",
            "--data_path=data",
            "--trained_ckpt=lonely.mindir",
            "--predict_path=p",
            cwd=folder,
        ),
        "trained_ckpt: lonely.mindir cannot be loaded by MindSpore",
    )
    for exports, words in [
        ("", "exports is empty"),
        ("out/net.mindir,out/net.mindir", "named twice"),
        ("no.mindir", "no file no.mindir"),
    ]:
        refused(
            call(
                "parity",
                "--data_path=data",
                "--label_path=masks",
                f"--trained_ckpt={checkpoint}",
                f"--exports={exports}",
                cwd=folder,
            ),
            "exports",
            words,
        )


def test_describe(tmp_path):
    result = call("profile", "--model_name=linknet34", "--width=320", "--height=640", cwd=tmp_path)
    assert (
        result.returncode == 0
        and "linknet34, one image of 320x640: 21.642401 M parameters" in result.stdout
    ), result.stderr
    values = json.loads(
        call("profile", "--model_name=linknet34", "--width=320", "--height=640", "--as_json").stdout
    )
    assert values["parameters"] == 21_642_401 and values["layers"][-1]["output"] == [1, 640, 320]
    assert list(tmp_path.iterdir()) == []
