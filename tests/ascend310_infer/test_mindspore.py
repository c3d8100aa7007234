"""The program with MindSpore's engine, built against the C++ API of the 2.0 wheel.

It is started without an Ascend.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import cv2
import pytest

from dlinknet.export.graph import exported_graph
from dlinknet.export.mindir import write_mindir
from dlinknet.inference import description
from tests.ascend310_infer import build
from tests.conftest import stripes

WHEEL = Path(importlib.util.find_spec("mindspore").submodule_search_locations[0])
LIBRARY = Path(
    sysconfig.get_config_var("LIBDIR"), f"libpython{sysconfig.get_python_version()}.so.1.0"
)
pytestmark = [
    pytest.mark.skipif(
        not (WHEEL / "include" / "api" / "model.h").exists()
        or not (WHEEL / "lib" / "libmindspore.so").exists(),
        reason="this MindSpore has no C++ API, which its wheel has up to 2.0: "
        "scripts/run_tests.sh --mindspore=2.0",
    ),
    pytest.mark.skipif(bool(build.lacking()), reason=build.lacking() or "all is there"),
]


@pytest.fixture(scope="module", params=["wheel, ABI 0", "wheel, ABI 1", "MindSpore Lite, ABI 0"])
def program(request, tmp_path_factory):
    """Return the program of each kind. Warnings are errors in all builds."""
    folder = tmp_path_factory.mktemp("cpp")
    if request.param.startswith("wheel"):
        return build.built(folder / "build", MINDSPORE_HOME=str(WHEEL), CXX11_ABI=request.param[-1])
    # The wheel's headers and library, arranged and named as MindSpore Lite has them.
    runtime = folder / "lite" / "runtime"
    (runtime / "lib").mkdir(parents=True)
    (runtime / "include").symlink_to(WHEEL / "include")
    for file in (WHEEL / "lib").iterdir():
        (runtime / "lib" / file.name).symlink_to(file)
    (runtime / "lib" / "libmindspore-lite.so").symlink_to(WHEEL / "lib" / "libmindspore.so")
    return build.built(
        folder / "build", LITE_HOME=str(folder / "lite"), CXX11_ABI=request.param[-1]
    )


def test_no_text_crosses_into_opencv(program):
    """No function may pass std::string: OpenCV uses the new ABI, the program uses ABI 0."""
    symbols = subprocess.run(
        ["nm", "-D", "-C", "--undefined-only", str(program)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    of_opencv = [line for line in symbols.splitlines() if " cv::" in line]
    assert any("imdecode" in line for line in of_opencv) and not [
        line for line in of_opencv if "basic_string" in line
    ]
    assert "mindspore::Model::Build" in symbols and "mindspore::Model::Predict" in symbols


@pytest.fixture(scope="module")
def model(networks, tmp_path_factory):
    """Return the folder of a MindIR for 64 x 96, which this MindSpore wrote, and its JSON."""

    folder, shape = tmp_path_factory.mktemp("model"), description.Shape(1, (64, 96))
    write_mindir(exported_graph(networks("linknet18"), False), shape, folder / "a.mindir")
    description.write(
        folder / "a.mindir",
        {"model": "linknet18", "classes": 1, "threshold": 0.5, **shape.to_dict(1)},
    )
    cv2.imwrite(str(folder / "a_sat.png"), stripes(0)[0])
    return folder


@pytest.mark.skipif(
    not LIBRARY.exists(),
    reason=f"the wheel's library requires {LIBRARY}, which this Python lacks",
)
@pytest.mark.skipif(os.path.exists("/dev/davinci0"), reason="here is an Ascend")
def test_without_an_ascend_it_says_so_in_one_line(program, model, request):
    kind = request.node.callspec.params["program"].lower()
    path = os.pathsep.join(
        [str(LIBRARY.parent), *os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)]
    ).rstrip(os.pathsep)
    result = build.run(
        program,
        "--model=a.mindir",
        "--images=a_sat.png",
        cwd=model,
        env={"GLOG_v": "4", "LD_LIBRARY_PATH": path},
    )
    assert result.returncode == 2, result.stderr
    assert result.stderr == (
        "dlinknet_infer: error: --model: a.mindir cannot be loaded on Ascend 0: "
        "Common error code. "
        "(/dev/davinci0 is missing: there is no such Ascend, or its driver is not loaded)\n"
    )
    # If the wheel's API allows it, the program reports an unreadable file and a missing device
    # with different messages.
    (model / "b.mindir").write_bytes(b"no model")
    shutil.copy(model / "a.mindir.json", model / "b.mindir.json")
    result = build.run(
        program,
        "--model=b.mindir",
        "--images=a_sat.png",
        cwd=model,
        env={"GLOG_v": "4", "LD_LIBRARY_PATH": path},
    )
    assert result.returncode == 2 and len(result.stderr.splitlines()) == 1, result.stderr
    assert ("this MindSpore cannot read it as a MindIR" in result.stderr) == (
        "lite" not in str(kind)
    )
    assert json.loads((model / "a.mindir.json").read_text())["input"]["shape"] == [1, 3, 64, 96]
