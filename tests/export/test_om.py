"""OM files: what atc is asked to do, and what it is given. atc itself is a stand-in here."""

import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
import time

import pytest

from dlinknet.export.graph import exported_graph
from dlinknet.export.mindir import write_graph
from dlinknet.export.onnx import write_onnx
from dlinknet.inference import description
from dlinknet.inference.description import Shape
from tests.conftest import ROOT, call, refused
from tests.export.atc_rules import violations

pytestmark = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime")),
    reason="pip install -r requirements-onnx.txt",
)
# Writes its words to words.json beside the OM file, and leaves a folder as atc does.
ATC = """
import json, os, sys, time
words = dict(word[2:].split("=", 1) for word in sys.argv[1:])
assert os.path.isfile(words["model"])
os.mkdir("kernel_meta")
if words["soc_version"] == "Ascend0":
    print("ATC start working now, please wait for a moment.")
    print("E10001: [PID: 7] 2026-11-28 Value [Ascend0] for parameter [--soc_version] is invalid.")
    sys.exit(255)
if words["soc_version"] == "Ascend1":
    sys.exit(137)
if words["soc_version"] == "Ascend2":
    print("ATC run success")
    sys.exit(0)
if words["soc_version"] == "Ascend3":
    print("=========", flush=True)
    open(words["output"] + ".part", "w").close()
    time.sleep(60)
with open(words["output"] + ".om", "w") as file:
    json.dump(words, file)
"""


@pytest.fixture(scope="module")
def models(networks, tmp_path_factory):
    """Return a folder with LinkNet18 as ONNX: net (64 x 96), pixels (the same), any (any size)."""
    folder = tmp_path_factory.mktemp("om")
    for name, shape in (
        ("net", Shape(1, (64, 96))),
        ("pixels", Shape(1, (64, 96), pixels=True)),
        ("any", Shape(1, (64, 96), dynamic=True)),
    ):
        file = folder / f"{name}.onnx"
        write_onnx(exported_graph(networks("linknet18"), shape.pixels), shape, file)
        card = {"model": "linknet18", "classes": 1, "padding": "pytorch", "decoder": "full"}
        about = {"file": file.name, "file_format": "ONNX", "sha256": description.sha256(file)}
        compared = {"compared": {"ONNX Runtime": 0.0}, "threshold": 0.5, "mindspore": "2.10.0"}
        description.write(file, {**about, **card, **shape.to_dict(1), **compared})
    return folder


@pytest.fixture
def work(models, tmp_path, monkeypatch):
    """Return a copy of the folder of models. atc on PATH is the stand-in."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "atc.py").write_text(ATC)
    (tools / "atc").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$0.py" "$@"\n')
    (tools / "atc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    return shutil.copytree(models, tmp_path / "models")


def convert(folder, name, *words):
    return call("convert-om", f"--trained_ckpt={folder / name}", *words)


@pytest.mark.parametrize(
    "name, form, shape", [("net", "NCHW", "1,3,64,96"), ("pixels", "ND", "1,64,96,3")]
)
def test_the_arguments_of_atc_and_the_json(work, name, form, shape):
    before = sorted(work.iterdir())
    result = convert(work, f"{name}.onnx", "--soc_version=Ascend310P3")
    assert result.returncode == 0, result.stderr
    model = work / f"{name}.om"
    words = json.loads(model.read_text())
    assert words.pop("output").endswith(f"/{name}")
    assert words == {
        "model": str(work / f"{name}.onnx"),
        "framework": "5",
        "input_format": form,
        "input_shape": f"image:{shape}",
        "soc_version": "Ascend310P3",
        "precision_mode_v2": "cube_fp16in_fp32out",
    }
    old = json.loads((work / f"{name}.onnx.json").read_text())
    new = json.loads((work / f"{name}.om.json").read_text())
    changed = {"file", "file_format", "sha256", "compared"}
    assert {key: new[key] for key in old if key not in changed} == {
        key: old[key] for key in old if key not in changed
    }
    assert new["file"] == f"{name}.om" and new["file_format"] == "OM" and new["compared"] == {}
    assert new["sha256"] == description.sha256(model) and new["soc_version"] == "Ascend310P3"
    assert sorted(work.iterdir()) == sorted([*before, model, work / f"{name}.om.json"])


def script(*words, cwd):
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    return subprocess.run(
        ["bash", str(ROOT / "scripts" / "convert_om.sh"), *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PATH": path},
    )


def test_the_script_passes_on_its_words(work):
    result = script("net.onnx", "Ascend910B3", "--om_precision=origin", cwd=work)
    assert result.returncode == 0, result.stderr
    words = json.loads((work / "net.om").read_text())
    assert words["soc_version"] == "Ascend910B3" and words["precision_mode_v2"] == "origin"


def test_mistakes_are_one_line_and_leave_nothing(work, monkeypatch):
    (work / "net.om").write_text("an earlier one")
    before = {file.name: file.read_bytes() for file in work.iterdir()}
    chip = "--soc_version=Ascend310P3"
    refused(convert(work, "none.onnx", chip), "trained_ckpt: there is no file")
    refused(convert(work, "net.onnx.json", chip), "trained_ckpt must name an .onnx file")
    refused(convert(work, "any.onnx", chip), "any.onnx is for images of any size")
    refused(convert(work, "net.onnx"), "soc_version must name the chip, as in Ascend310P3")
    refused(convert(work, "net.onnx", "--soc_version=310P3"), "not '310P3'")
    line = refused(convert(work, "net.onnx", "--soc_version=Ascend0"), "atc cannot", status=1)
    assert "net.onnx: E10001: [PID: 7] " in line and line.endswith("is invalid.")
    line = refused(convert(work, "net.onnx", "--soc_version=Ascend1"), "atc cannot", status=1)
    assert line.endswith("net.onnx: it ended with status 137")
    line = refused(convert(work, "net.onnx", "--soc_version=Ascend2"), "atc cannot", status=1)
    assert line.endswith("net.onnx: it wrote no OM file")
    assert {file.name: file.read_bytes() for file in work.iterdir()} == before
    (work / "net.onnx").write_bytes((work / "pixels.onnx").read_bytes())
    refused(convert(work, "net.onnx", chip), "is not the file that", "was written for")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    refused(convert(work, "net.onnx", chip), "error: atc is not on PATH", "set_env.sh")
    assert (work / "net.om").read_text() == "an earlier one"


@pytest.mark.long
def test_a_signal_during_the_conversion_leaves_nothing(work):
    before = sorted(work.iterdir())
    command = [sys.executable, "-m", "dlinknet", "convert-om", "--trained_ckpt=net.onnx"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [*command, "--soc_version=Ascend3"], cwd=work, env=environment, stderr=subprocess.PIPE
    )
    while not list(work.glob(".net.om.*/net.part")):
        time.sleep(0.1)
        assert process.poll() is None
    process.terminate()
    assert process.wait(20) == 143 and process.communicate()[1].count(b"\n") == 1
    assert sorted(work.iterdir()) == before


@pytest.mark.parametrize("name", ["net", "pixels"])
def test_an_export_keeps_the_rules_of_atc(models, name):
    import onnx

    assert violations(onnx.load(str(models / f"{name}.onnx"))) == []


@pytest.mark.long
@pytest.mark.parametrize(
    "model, classes, decoder",
    [
        ("dlinknet34", 1, "full"),
        ("dlinknet50", 1, "full"),
        ("dlinknet101", 1, "full"),
        ("linknet34", 12, "full"),
        ("linknet18", 12, "depthwise"),
        ("linknet18", 1, "subpixel"),
    ],
)
def test_every_network_keeps_the_rules_of_atc(networks, tmp_path, model, classes, decoder):
    import onnx

    file = tmp_path / "a.onnx"
    write_onnx(exported_graph(networks(model, classes, decoder), False), Shape(1, (64, 64)), file)
    assert violations(onnx.load(str(file))) == []


def test_the_rules_find_what_mindspore_writes(networks, models, tmp_path):
    """Without the corrections an export breaks them, and so does one for images of any size."""
    import onnx

    file, shape = tmp_path / "raw.onnx", Shape(1, (64, 64))
    write_graph(exported_graph(networks("linknet18"), False), shape, file, "ONNX")
    found = violations(onnx.load(str(file)))
    assert any("output_shape" in fault for fault in found)
    assert len(violations(onnx.load(str(models / "any.onnx")))) == 2


def test_the_script_wants_two_words():
    refused(
        script("net.onnx", cwd=ROOT), "usage: bash scripts/convert_om.sh MODEL.onnx SOC_VERSION"
    )
