"""The C++ program, built with the address and undefined-behaviour sanitizers.

It is compared with Python, and it receives damaged files and wrong arguments.
"""

import importlib.util
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from dlinknet.data.preprocess import Preprocessing, pad, to_input
from dlinknet.inference.description import Shape, path_of, read
from dlinknet.inference.onnx_engines import OnnxEngine
from dlinknet.inference.predictor import Predictor
from dlinknet.inference.tiles import Tiling, along, blend_weights
from tests.ascend310_infer import build
from tests.ascend310_infer.tiffs import page, tiff
from tests.conftest import ROOT, call, stripes

pytestmark = pytest.mark.skipif(bool(build.lacking()), reason=build.lacking() or "all is there")
needs_onnx = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime")),
    reason="pip install -r requirements-onnx.txt",
)
MUTANTS = 2400


@pytest.fixture(scope="session")
def program(folder):
    return folder / "dlinknet_infer"


@pytest.fixture(scope="session")
def parts(folder):
    return build.target(folder, "print_parts")


@pytest.fixture(scope="module")
def work(spread_checkpoint, tmp_path_factory):
    """Return a folder with images of several sizes, and LinkNet18 as ONNX for 64 x 96."""
    place = tmp_path_factory.mktemp("infer 道路")
    (place / "data").mkdir()
    for number, size in enumerate([(60, 64), (64, 96), (150, 210), (33, 300)]):
        image, mask = stripes(number, *size)
        cv2.imwrite(str(place / "data" / f"m{number}_sat.{'png' if number % 2 else 'jpg'}"), image)
        cv2.imwrite(str(place / "data" / f"m{number}_mask.png"), mask)
    result = call(
        "export.py",
        f"--trained_ckpt={spread_checkpoint('linknet18')}",
        "--file_name=./net",
        "--file_format=ONNX",
        "--batch_size=1",
        "--width=96",
        "--height=64",
        cwd=place,
    )
    assert result.returncode == 0, result.stderr
    return place


@pytest.mark.parametrize(
    "size, top, left",
    [
        ((64, 96), 0, 0),
        ((200, 300), 32, 64),
        ((45, 70), 0, 0),
        ((100, 200), 64, 160),
        ((1, 5), 0, 0),
    ],
)
def test_planes_are_pythons_to_the_bit(parts, tmp_path, size, top, left):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    result = build.run(
        parts, "planes", "a.png", "64", "96", str(top), str(left), "planes.bin", cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    expected = to_input(np.ascontiguousarray(pad(image[top : top + 64, left : left + 96], 64, 96)))
    assert np.array_equal(
        np.fromfile(tmp_path / "planes.bin", np.float32).reshape(3, 64, 96), expected
    )


@pytest.mark.parametrize("side, overlap", [(64, 16), (96, 256), (416, 100), (1024, 256), (32, 256)])
def test_tiles_are_pythons_to_the_bit(parts, tmp_path, side, overlap):
    class Fixed:
        batch, size = 1, (side, side)

    predictor = Predictor(Fixed(), Tiling(1536, overlap))
    for length in (1, side - 1, side, side + 1, 2 * side, 3 * side + 17, 3001):
        result = build.run(
            parts, "axis", str(length), str(side), str(overlap), "blend_weights.bin", cwd=tmp_path
        )
        _, starts = along(length, predictor.tile_size, predictor.overlap, side)
        assert result.returncode == 0 and [int(word) for word in result.stdout.split()] == starts, (
            result.stderr
        )
        assert np.array_equal(
            np.fromfile(tmp_path / "blend_weights.bin", np.float32),
            np.concatenate(blend_weights(starts, side)),
        )


@needs_onnx
@pytest.mark.parametrize("way", [[], ["--plain_loop"]])
def test_images_of_any_size_get_what_python_computes(program, work, tmp_path, way):
    whole = (work / "data" / "m2_sat.jpg").read_bytes()
    bad = {
        "cut_sat.png": cv2.imencode(".bmp", stripes(0, 64, 96)[0])[1].tobytes()[:-700],
        "deep_sat.png": cv2.imencode(".png", np.zeros((9, 9, 3), np.uint16))[1].tobytes(),
        "half_sat.jpg": whole[:-700],
        "part_sat.png": (work / "data" / "m1_sat.png").read_bytes()[:-700],
        "text_sat.tif": b"no image",
        "other_sat.webp": b"",
    }
    for name, data in bad.items():
        (work / "data" / name).write_bytes(data)
    result = build.run(
        program,
        "--model=net.onnx",
        "--images=data",
        f"--results={tmp_path / 'r'}",
        f"--times={tmp_path / 't'}",
        "--output=both",
        "--tile_overlap=20",
        *way,
        cwd=work,
    )
    for name in bad:
        (work / "data" / name).unlink()
    assert result.returncode == 1, result.stderr
    assert result.stderr.splitlines() == [
        "1 files of other types were left out of data (other_sat.webp); "
        ".jpg, .jpeg, .png, .tif, .tiff are read",
        "left out cut_sat.png: cannot be decoded",
        "left out deep_sat.png: not 8 bits a channel (16); save it with 8",
        "left out half_sat.jpg: truncated",
        "left out part_sat.png: truncated",
        "left out text_sat.tif: is no image",
        "dlinknet_infer: error: 5 of 9 images failed",
    ]
    engine = OnnxEngine(work / "net.onnx", read(str(work / "net.onnx"))[1])
    predictor, spans = Predictor(engine, Tiling(1536, 20)), []
    for file in sorted((work / "data").glob("*_sat.*")):
        image = cv2.imread(str(file))
        found = np.fromfile(tmp_path / "r" / f"{file.stem}.bin", np.float32).reshape(
            image.shape[:2]
        )
        assert np.abs(found - predictor.probability(image)).max() < 1e-4
        mask = cv2.imread(str(tmp_path / "r" / f"{file.stem[:-4]}_mask.png"), cv2.IMREAD_UNCHANGED)
        assert mask.shape == found.shape and np.array_equal(mask, np.where(found > 0.5, 255, 0))
        spans.append(np.ptp(found))
    assert max(spans) > 0.5 and len(list((tmp_path / "r").iterdir())) == 8
    lines = dict(
        line.split(": ") for line in (tmp_path / "t" / "times.txt").read_text().splitlines()
    )
    assert (
        list(lines) == ["images", "images_per_second", "mean_ms", "median_ms", "p90_ms"]
        and lines["images"] == "4"
    )
    assert 0 < float(lines["median_ms"]) <= float(lines["p90_ms"])


def test_help_and_mistakes(program, tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"no model")
    (tmp_path / "full").mkdir()
    cv2.imwrite(str(tmp_path / "full" / "a_sat.png"), stripes(0)[0])
    cv2.imwrite(str(tmp_path / "full" / "a.png"), stripes(0)[0])
    (tmp_path / "empty").mkdir()
    planes = {"layout": "NCHW", "type": "float32", "channels": "BGR", "shape": [1, 3, 64, 96]}
    good = {
        "format": 1,
        "model": "linknet18",
        "classes": 1,
        "input": planes,
        "preprocessing": {"where": "host", "scale": 3.2, "shift": -1.6},
        "threshold": 0.5,
    }

    def refused(words, *arguments, **changes):
        (tmp_path / "a.onnx.json").write_text(json.dumps({**good, **changes}))
        result = build.run(program, *arguments, cwd=tmp_path)
        assert result.returncode == 2, result.stderr
        assert len(result.stderr.splitlines()) == 1 and words in result.stderr, result.stderr

    result = build.run(program, "--help", cwd=tmp_path)
    assert (
        result.returncode == 0
        and "--tile_overlap=N" in result.stdout
        and "Computes with OpenCV" in result.stdout
    )
    model, images = "--model=a.onnx", "--images=full/a.png"
    refused("--model is missing")
    refused("--images is missing", model)
    refused("'a.onnx' is not understood", "a.onnx")
    refused("there is no option --modle", "--modle=a.onnx")
    refused("--threshold must be a number from 0 to 1, not '2'", model, images, "--threshold=2")
    refused("--device_id must be a whole number", model, images, "--device_id=one")
    refused("--output must be bin, mask or both", model, images, "--output=png")
    refused("--results requires a value", model, images, "--results")
    refused("there is no file b.onnx", "--model=b.onnx", images)
    refused("there is no file full", "--model=full", images)
    (tmp_path / "b.onnx").write_bytes(b"x")
    refused("b.onnx.json is missing, which export.py writes", "--model=b.onnx", images)
    refused("a.onnx.json is not what export.py writes", model, images, input={})
    refused("is from a later dlinknet", model, images, format=2)
    refused(
        "a model for one image of one size",
        model,
        images,
        input={**planes, "shape": [4, 3, 64, 96]},
    )
    refused(
        "a model for one image of one size",
        model,
        images,
        input={**planes, "shape": [None, 3, None, None]},
    )
    refused(
        "is of a kind that this program does not know",
        model,
        images,
        input={**planes, "channels": "RGB"},
    )
    refused(
        "is of a kind that this program does not know",
        model,
        images,
        input={**planes, "type": "uint8"},
    )
    refused(
        "cannot run a model with pixel input",
        model,
        images,
        input={**planes, "layout": "NHWC", "type": "uint8", "shape": [1, 64, 96, 3]},
        preprocessing={"where": "graph", "scale": 3.2, "shift": -1.6},
    )
    refused("--results: full is the folder of the images", model, images, "--results=full")
    refused("two images have the ID a", model, "--images=full")
    refused("empty holds no image", model, "--images=empty")
    refused("cannot read none", model, "--images=none")
    refused("a.onnx cannot be loaded by OpenCV", model, images)
    refused("--results: cannot make the folder a.onnx", model, images, "--results=a.onnx")
    (tmp_path / "a.mindir").write_bytes(b"x")
    (tmp_path / "a.mindir.json").write_text(json.dumps(good))
    refused("accepts .onnx files, not a.mindir", "--model=a.mindir", images)
    assert not (tmp_path / "result_Files").exists() or not list(
        (tmp_path / "result_Files").iterdir()
    )


def mutants(rng, originals, count):
    """Yield damaged copies: bytes are changed, cut out, doubled or cut off."""
    for number in range(count):
        data = bytearray(originals[number % len(originals)])
        for _ in range(int(rng.integers(1, 6))):
            at, kind = int(rng.integers(len(data))), int(rng.integers(4))
            if kind == 0:
                data[at] = int(rng.integers(256))
            elif kind == 1:
                del data[at : at + int(rng.integers(1, 40))]
            elif kind == 2:
                data[at:at] = data[at : at + int(rng.integers(1, 40))]
            elif len(data) > 8:
                del data[max(at, 4) :]
            data = data or bytearray(b"\0")
        yield bytes(data)


def test_damaged_images_and_descriptions_do_no_harm(folder, tmp_path):
    """Read 2400 damaged inputs with the program's own readers.

    A sanitizer's report ends the program with status 99. A hang ends in the timeout.
    """
    image = stripes(0, 40, 56)[0]
    encoded = [
        cv2.imencode(kind, picture)[1].tobytes()
        for kind in (".jpg", ".png", ".tif", ".bmp", ".webp")
        for picture in (image, image[..., 0], image[:1, :1])
    ]
    four = np.dstack([image, image[..., :1]])
    encoded += [
        tiff(page(four, t338=[2])),
        tiff(page(four, t338=[2]), big=True),
        tiff(page(four, t338=[2], tile=(16, 32)), order=">"),
        tiff(page(four, t338=[2], separate=True), page(four[:9], t254=[1])),
    ]
    described = [
        json.dumps(
            {
                "format": 1,
                "model": "m",
                "classes": 1,
                "threshold": 0.5,
                **Shape(1, (64, 96), pixels=pixels).to_dict(1),
            }
        ).encode()
        for pixels in (False, True)
    ]
    rng, files = np.random.default_rng(1), []
    for kind, originals in ((".img", encoded), (".json", described)):
        for number, data in enumerate(mutants(rng, originals, MUTANTS // 2)):
            files.append(tmp_path / f"{number}{kind}")
            files[-1].write_bytes(data)
    reader, good, bad = build.target(folder, "read_inputs"), 0, 0
    for first in range(0, len(files), 400):
        result = build.run(reader, *map(str, files[first : first + 400]))
        assert result.returncode == 0, result.stderr[-3000:]
        words = result.stdout.split()
        good, bad = good + int(words[0]), bad + int(words[2])
    assert good + bad == MUTANTS and good > 100 and bad > 1000


@needs_onnx
def test_a_full_disk_is_a_line_for_each_image_and_leaves_no_part(program, work, tmp_path):
    """A limit on the size of files stands for a full disk."""

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    result = build.run(
        program,
        "--model=net.onnx",
        "--images=data",
        f"--results={tmp_path / 'r'}",
        f"--times={tmp_path / 't'}",
        cwd=work,
        preexec_fn=limit,
    )
    # 60 x 64 x 4 = 15 360 bytes fit, the others do not
    assert (
        result.returncode == 1
        and result.stderr.count(".bin: cannot be written: File too large") == 3
    ), result.stderr
    assert [path.name for path in (tmp_path / "r").iterdir()] == ["m0_sat.bin"]


@needs_onnx
def test_several_classes_of_resized_images_get_what_python_computes(
    folder, program, spread_checkpoint, tmp_path
):
    """ID_sat.bin holds one map after another, ID_mask.png the values of the classes.

    The images' mean colour is subtracted.
    """

    result = call(
        "export.py",
        f"--trained_ckpt={spread_checkpoint('linknet18', 3, 'depthwise')}",
        "--file_name=./net",
        "--file_format=ONNX",
        "--batch_size=1",
        "--width=96",
        "--height=64",
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    values = json.loads(path_of(tmp_path / "net.onnx").read_text())
    preprocessing = Preprocessing(1.0, (-0.406, -0.456, -0.485), (70, 130))
    values["preprocessing"].update(preprocessing.to_dict())
    path_of(tmp_path / "net.onnx").write_text(json.dumps(values))
    (tmp_path / "data").mkdir()
    for number, size in enumerate([(60, 64), (150, 210)]):
        cv2.imwrite(str(tmp_path / "data" / f"m{number}.png"), stripes(number, *size)[0])
    result = build.run(
        program,
        "--model=net.onnx",
        "--images=data",
        "--results=r",
        "--times=t",
        "--output=both",
        "--tile_overlap=20",
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    engine = OnnxEngine(tmp_path / "net.onnx", read(str(tmp_path / "net.onnx"))[1], preprocessing)
    predictor = Predictor(engine, Tiling(1536, 20, resize=preprocessing.resize))
    for number in range(2):
        image = cv2.imread(str(tmp_path / "data" / f"m{number}.png"))
        found = np.fromfile(tmp_path / "r" / f"m{number}_sat.bin", np.float32).reshape(
            3, *image.shape[:2]
        )
        # The program and Python have different OpenCV versions. When they reduce an image, some
        # values differ by 1 of 255.
        assert np.abs(found - predictor.probability(image)).max() < 5e-3 and np.ptp(found) > 0.1
        mask = cv2.imread(str(tmp_path / "r" / f"m{number}_mask.png"), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(mask, 7 * found.argmax(0)) and len(np.unique(mask)) > 1
        (tmp_path / "labels").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "labels" / f"m{number}.png"), mask)
    # The script scores the masks against themselves, except for one wrong column.
    mask[:, 0] = (mask[:, 0] + 7) % 21
    cv2.imwrite(str(tmp_path / "labels" / "m1.png"), mask)
    (tmp_path / "table.yaml").write_text(json.dumps(values["class_table"]))
    scored = subprocess.run(
        [
            "bash",
            str(ROOT / "scripts" / "run_infer_310.sh"),
            "data",
            "labels",
            "net.onnx",
            "--class_table=table.yaml",
            "--tile_overlap=20",
            "--engine=opencv",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "BUILD_DIR": str(folder),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        },
    )
    right = 1 - 150 / (60 * 64 + 150 * 210)
    assert scored.returncode == 0 and f"pixel_accuracy: {right:.4f}" in scored.stdout, (
        scored.stdout + scored.stderr
    )
    # If one class has no value, masks hold the indices of all classes.
    values["class_table"]["classes"][1]["values"] = []
    path_of(tmp_path / "net.onnx").write_text(json.dumps(values))
    result = build.run(
        program,
        "--model=net.onnx",
        "--images=data",
        "--results=places",
        "--times=t2",
        "--output=mask",
        "--tile_overlap=20",
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    assert np.array_equal(
        cv2.imread(str(tmp_path / "places" / "m1_mask.png"), cv2.IMREAD_UNCHANGED), found.argmax(0)
    )
