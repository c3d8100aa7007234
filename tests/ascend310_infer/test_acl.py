"""The engine for OM files on any CPU, with a stand-in for CANN's libascendcl.

The stand-in computes with OpenCV, and ends the process if a call is one that CANN's documents
forbid. Program and stand-in are built with the address and undefined-behaviour sanitizers.
"""

import importlib.util
import os
import re
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest

from dlinknet.export.graph import exported_graph
from dlinknet.export.onnx import write_onnx
from dlinknet.inference import description
from tests.ascend310_infer import build
from tests.conftest import ROOT, stripes

pytestmark = [
    pytest.mark.skipif(bool(build.lacking()), reason=build.lacking() or "all is there"),
    pytest.mark.skipif(
        not importlib.util.find_spec("onnx"), reason="pip install -r requirements-onnx.txt"
    ),
]
SIZE = (64, 96)
CHIP = "Ascend310P3"


@pytest.fixture(scope="module")
def program(folder):
    return build.target(folder, "infer_acl")


@pytest.fixture(scope="module")
def work(networks, tmp_path_factory):
    """Return a folder with images of several sizes and one LinkNet18 as ONNX and as OM."""
    place, shape = tmp_path_factory.mktemp("acl"), description.Shape(1, SIZE)
    (place / "data").mkdir()
    for number, size in enumerate([(60, 64), (64, 96), (150, 210)]):
        cv2.imwrite(str(place / "data" / f"m{number}_sat.png"), stripes(number, *size)[0])
    write_onnx(exported_graph(networks("linknet18"), False), shape, place / "net.onnx")
    card = {"model": "linknet18", "classes": 1, "threshold": 0.5, **shape.to_dict(1)}
    description.write(place / "net.onnx", card)
    onnx = (place / "net.onnx").read_bytes()
    write_om(place / "net.om", onnx)
    description.write(place / "net.om", card)
    write_om(place / "pixels.om", onnx, kind="pixels")
    description.write(place / "pixels.om", {**card, **replace(shape, pixels=True).to_dict(1)})
    write_onnx(exported_graph(networks("linknet18", 3), False), shape, place / "three.onnx")
    write_om(place / "three.om", (place / "three.onnx").read_bytes(), classes=3)
    table = {
        "classes": [{"name": name, "values": [value]} for name, value in zip("abc", (0, 7, 9))]
    }
    for model in ("three.onnx", "three.om"):
        about = {"classes": 3, "class_table": table, **shape.to_dict(3)}
        description.write(place / model, {**card, **about})
    return place


def write_om(file, onnx, classes=1, size=SIZE, chip=CHIP, kind="planes"):
    """Write an .om as the stand-in reads it."""
    file.write_bytes(f"stub {classes} {size[0]} {size[1]} {chip} {kind}\n".encode() + onnx)


def run(program, work, results, *words, fail=0, model="net.om"):
    """Return (the result of the program, the lines of the stand-in's log)."""
    log = work / f"{results}.log"
    log.unlink(missing_ok=True)
    found = build.run(
        program,
        *(f"--model={model}", "--images=data", f"--results={results}", f"--times={results}.times"),
        *words,
        cwd=work,
        env={"ACL_STUB_LOG": str(log), "ACL_STUB_FAIL": str(fail)},
    )
    return found, log.read_text().splitlines() if log.exists() else []


@pytest.fixture(scope="module")
def plain(folder, work):
    """Return the probabilities that the program with OpenCV computes: file name -> bytes."""
    result, _ = run(folder / "dlinknet_infer", work, "plain", model="net.onnx")
    assert result.returncode == 0, result.stderr
    return {file.name: file.read_bytes() for file in (work / "plain").iterdir()}


@pytest.mark.parametrize("words", [(), ("--plain_loop",)], ids=["threads", "plain loop"])
def test_probabilities_are_those_of_the_onnx_file(program, work, plain, words):
    result, calls = run(program, work, "results", *words)
    assert result.returncode == 0, result.stderr
    assert "linknet18 of 96x64 by AscendCL, 3 images" in result.stdout
    assert {file.name: file.read_bytes() for file in (work / "results").iterdir()} == plain
    assert len(plain) == 3 and calls[-1] == "left 0"


def test_pixels_are_copied_as_they_are(program, work, plain):
    result, calls = run(program, work, "pixels", model="pixels.om")
    assert result.returncode == 0 and calls[-1] == "left 0", result.stderr
    for name, data in plain.items():
        found = np.fromfile(work / "pixels" / name, np.float32)
        assert np.abs(found - np.frombuffer(data, np.float32)).max() < 1e-5


def test_several_classes(folder, program, work):
    words = ("--output=both",)
    for results, binary, model in (
        ("three", program, "three.om"),
        ("three plain", folder / "dlinknet_infer", "three.onnx"),
    ):
        result, _ = run(binary, work, results, *words, model=model)
        assert result.returncode == 0, result.stderr
    found, expected = (
        {file.name: file.read_bytes() for file in (work / results).iterdir()}
        for results in ("three", "three plain")
    )
    assert len(found) == 6 and found == expected
    assert set(np.unique(cv2.imread(str(work / "three" / "m2_mask.png"), 0))) <= {0, 7, 9}


def test_a_tile_is_copied_while_another_is_computed(program, work):
    _, calls = run(program, work, "order")
    steps = [call for call in calls if call.startswith(("aclrtMemcpy", "aclmdlEx", "aclrtSync"))]
    tiles = steps.count("aclmdlExecuteAsync")
    up, run_, wait = "aclrtMemcpy to the device", "aclmdlExecuteAsync", "aclrtSynchronizeStream"
    down = "aclrtMemcpy to the host"
    assert tiles > 3 and steps.count(down) == steps.count(wait) == steps.count(up) == tiles
    # Where the reader is fast enough, the device has the next tile when it ends one, and computes
    # it while the result of the one before is copied.
    assert " ".join([up, wait, run_, down, up, wait, run_, down]) in " ".join(steps), steps


@pytest.mark.long
def test_every_call_that_fails_is_one_line_and_ends_all(program, work, plain):
    """Let each call fail in turn: nothing stays, and an image is complete or named."""
    _, calls = run(program, work, "whole")
    seen = set()
    for number in range(1, len(calls)):
        shutil.rmtree(work / "fails", ignore_errors=True)
        result, log = run(program, work, "fails", fail=number)
        # The order of the calls depends on how fast the reader is.
        name = log[number - 1].split(" to ")[0]
        lines = result.stderr.splitlines()
        assert log[-1] == "left 0", log
        assert all(len(line) < 400 and "\t" not in line for line in lines), lines
        written = {file.name: file.read_bytes() for file in (work / "fails").glob("*")}
        if result.returncode == 2:
            (line,) = lines
            assert name in line and "--model: net.om cannot be loaded on Ascend 0: " in line, line
            assert not written
        else:
            *left_out, last = lines
            assert result.returncode == 1 and "images failed" in last, lines
            assert left_out and all(name in line for line in left_out), left_out
            assert len(written) == 3 - len(left_out)
            assert all(plain[file] == data for file, data in written.items())
        seen.add(name)
    assert {"aclInit", "aclrtSetDevice", "aclmdlLoadFromFile", "aclrtSynchronizeStream"} <= seen


def test_models_that_do_not_fit_are_one_line(program, work):
    onnx = (work / "net.onnx").read_bytes()
    write_om(work / "card.om", onnx, chip="Ascend910B3")
    write_om(work / "size.om", onnx, size=(32, 96))
    for name in ("card", "size"):
        shutil.copy(work / "net.om.json", work / f"{name}.om.json")
    for model, words, expected in (
        ("card.om", (), f"the model does not match the chip; an .om runs on the chip .* {CHIP}"),
        ("size.om", (), "size.om has another input or output than its JSON says"),
        ("net.onnx", (), "was built with AscendCL and accepts .om files, not net.onnx"),
        ("net.om", ("--fp16",), "--precision: atc decided how net.om computes"),
        ("net.om", ("--precision=x",), "--precision must be preferred_fp32, .* not 'x'"),
        ("none.om", (), "--model: there is no file none.om"),
    ):
        result, log = run(program, work, "refused", *words, model=model)
        (line,) = result.stderr.splitlines()
        assert result.returncode == 2 and log[-1:] in (["left 0"], []), (line, log)
        assert re.search(expected, line), line
        assert not list((work / "refused").glob("*.bin"))


@pytest.mark.long
def test_build_sh_finds_cann(folder, work, tmp_path, plain):
    """The folder has the stand-in's header and library where CANN has its own."""
    home = tmp_path / "cann"
    (home / "include").mkdir(parents=True)
    (home / "lib64").mkdir()
    shutil.copytree(ROOT / "ascend310_infer" / "tests" / "cann" / "acl", home / "include" / "acl")
    build.target(folder, "acl_stub")
    shutil.copy(folder / "libacl_stub.so", home / "lib64" / "libascendcl.so")
    # The copy keeps the name of the stand-in, under which the program looks for it.
    shutil.copy(folder / "libacl_stub.so", home / "lib64" / "libacl_stub.so")
    program = build.built(
        tmp_path / "build", "acl", "-DSANITIZE=ON", ASCEND_HOME_PATH=str(home), CANN_HOME=""
    )
    result, calls = run(program, work, "built")
    assert result.returncode == 0 and calls[-1] == "left 0", result.stderr
    assert {file.name: file.read_bytes() for file in (work / "built").iterdir()} == plain


@pytest.mark.skipif(os.path.exists("/usr/local/Ascend"), reason="this machine may have CANN")
def test_build_sh_without_cann_is_one_line(tmp_path):
    result = build.build(tmp_path / "b", "acl", ASCEND_HOME_PATH="", ASCEND_TOOLKIT_HOME="")
    assert result.returncode == 2
    assert result.stderr.startswith("build.sh: error: no CANN: ") and result.stderr.count("\n") == 1
