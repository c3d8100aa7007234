"""run_infer_310.sh: build the C++ program, run it on a folder of images, score its results."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from dlinknet.devices.environment import device_of_environment
from dlinknet.errors import UserError
from dlinknet.launching.log_folders import here, hold, move_aside, now
from dlinknet.launching.processes import ROOT, StopRequest, python_command, start, wait_for
from dlinknet.launching.script_arguments import Arguments, need_file, need_folder, need_number
from dlinknet.launching.supervisor import say

RESULTS = ("result_Files", "time_Result", "acc.log", "infer.log")
ENGINES = {".mindir": "", ".om": "acl"}  # the first word for build.sh
CPU_ENGINES = ("auto", "openvino", "opencv")
MODULES = ("cv2", "numpy", "PIL", "tqdm", "yaml")


def infer(_: str, asked: Arguments) -> None:
    """Infer on an Ascend (.mindir, .om) or on a CPU (.onnx), and print the score."""
    data, labels, model, *rest = asked.words
    for_program, for_score = _sort_settings(asked.settings, data)
    need_folder("DATA_PATH", data)
    need_folder("LABEL_PATH", labels)
    need_file("MINDIR_PATH", model)
    device_id = need_number("DEVICE_ID", rest[0]) if rest else device_of_environment()
    engine = _engine_of(model, asked.settings)
    if not all(map(find_spec, MODULES)):
        raise UserError(
            "no Python on PATH has numpy, opencv-python-headless, pillow, pyyaml and tqdm, "
            "which the score requires: pip install them"
        )
    lock = _make_room()
    request = StopRequest()
    program = _build(engine, request)
    words = [
        f"--model={model}",
        f"--images={data}",
        "--results=result_Files",
        "--times=time_Result",
        f"--device_id={device_id}",
        *for_program,
    ]
    _run_program([program, *words], lock, request)
    _score(["result_Files", labels, *for_score], request)


def _engine_of(model: str, settings: Sequence[str]) -> str:
    """Return the first word for build.sh: which engine runs the model.

    Raises:
        UserError: no engine runs such a file, or --engine names another one.
    """
    kind = os.path.splitext(model)[1]
    if kind not in (*ENGINES, ".onnx"):
        raise UserError(
            f"MINDIR_PATH must end in .mindir or .om (Ascend) or .onnx (CPU), not {model}"
        )
    words = [word.partition("=")[2] for word in settings if word.startswith("--engine=")]
    engine = words[-1] if words else "auto"
    if engine not in CPU_ENGINES:
        raise UserError(f"engine must be one of {', '.join(CPU_ENGINES)}, not '{engine}'")
    if kind != ".onnx":
        if engine != "auto":
            raise UserError(f"engine: {engine} runs .onnx files, not {model}")
        return ENGINES[kind]
    if engine == "auto":
        return "openvino" if find_spec("openvino") else "opencv"
    return engine


def _sort_settings(settings: Sequence[str], data: str) -> tuple[list[str], list[str]]:
    """Return (the settings for the program, the settings for the score).

    Raises:
        UserError: a setting belongs to neither.
    """
    for_program, for_score = [], []
    for setting in settings:
        name, _, value = setting.partition("=")
        if name == "--class_table":
            for_score += [setting, "--data_layout=folder", f"--data_path={data}"]
        elif name == "--engine":
            continue
        elif name in ("--threshold", "--ignore_index"):
            for_score.append(setting)
        elif name in ("--tile_overlap", "--precision"):
            for_program.append(setting)
        elif name == "--fp16" and value in ("True", "true", "False", "false"):
            for_program += ["--fp16"] * (value in ("True", "true"))
        else:
            raise UserError(
                f"'{setting}' is no setting of this script: bash scripts/run_infer_310.sh --help"
            )
    return for_program, for_score


def _make_room() -> int:
    """Lock the current folder, rename earlier results, and return the lock's descriptor.

    Raises:
        UserError: another call uses the folder, or nothing can be written to it.
    """
    if not os.access(".", os.W_OK):
        raise UserError(f"cannot write the results to {here()}: call this in another folder")
    lock = hold("infer_310", "the inference")
    stamp = now()
    for name in RESULTS:
        move_aside(Path(name), stamp)
    return lock


def _build(engine: str, request: StopRequest) -> str:
    """Build the program and return its path.

    Args:
        engine: 'acl', 'openvino' or 'opencv'; empty for MindSpore.
    """
    variables = dict(os.environ)
    openvino = find_spec("openvino")
    if openvino and openvino.origin:
        variables.setdefault("OpenVINO_DIR", str(Path(openvino.origin).with_name("cmake")))
    build = ROOT / "ascend310_infer"
    folder = os.environ.get("BUILD_DIR") or str(build / f"build_{engine or 'mindspore'}")
    child = subprocess.Popen(
        ["bash", str(build / "build.sh"), *([engine] if engine else [])],
        env={**variables, "BUILD_DIR": folder},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    status = wait_for(child, request)
    if status:  # build.sh has printed the reason
        sys.exit(status)
    return child.communicate()[0].strip()


def _run_program(command: list[str], lock: int, request: StopRequest) -> None:
    """Run the program with its log in infer.log, and print the last line of the log.

    Raises:
        UserError: the program failed.
        SystemExit: a signal has ended it.
    """
    log = here() / "infer.log"
    say(f"running {command[0]}; log: {log}")
    # MindSpore's own lines would repeat what the program reports.
    os.environ.setdefault("GLOG_v", "4")
    process = start("the inference", command, log, keep=(lock,))
    status = wait_for(process.child, request)
    say(process.last_line())
    if request.number:
        sys.exit(status)
    if status:
        raise UserError(f"the inference {process.ended_as(status)} (log: {log})")


def _score(words: list[str], request: StopRequest) -> None:
    """Score the results, write the scores to acc.log, and print them.

    Raises:
        SystemExit: the score failed and has printed the reason, or a signal has ended it.
    """
    unfinished = Path("acc.log.part")
    command = [*python_command("postprocess.py"), *words]
    with open(unfinished, "wb") as output:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output)
        status = wait_for(child, request)
    if status:
        unfinished.unlink()
        sys.exit(status if request.number else 1)
    unfinished.rename("acc.log")
    say(Path("acc.log").read_text(encoding="utf-8", errors="replace").rstrip("\n"))
