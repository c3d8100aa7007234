"""What the benchmarks share: sides measured in turn, each in a process of its own; medians, ratios, JSON."""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Callable

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results"
sys.path.insert(0, str(ROOT))


def repeated(call: Callable[[], Any], times: int, warm_up: int = 1) -> list[float]:
    """Seconds of each of `times` calls, after `warm_up` calls that are not counted."""
    for _ in range(warm_up):
        call()
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return seconds


def answer(**values: Any) -> None:
    """Ends a side's process with what it measured; peak_gb, the most memory that it held, is added."""
    values["peak_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print("ANSWER " + json.dumps(values))


def side(script: str, name: str, *arguments: str, python: str = sys.executable) -> dict[str, Any]:
    """Measures one side: runs the script again with its name; returns what answer() was given there."""
    result = subprocess.run(
        [python, script, f"--side={name}", *arguments], capture_output=True, text=True
    )
    lines = [line for line in result.stdout.splitlines() if line.startswith("ANSWER ")]
    if result.returncode or not lines:
        sys.exit(f"{name} failed:\n{result.stdout}{result.stderr}")
    return json.loads(lines[-1][len("ANSWER ") :])


def in_turn(
    script: str, names: list[str], rounds: int, *arguments: str
) -> dict[str, dict[str, Any]]:
    """Measures the sides one after another, `rounds` times; returns {name: {seconds: median, peak_gb: largest, ...}}."""
    answers: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for number in range(1, rounds + 1):
        for name in names:
            found = side(script, name, *arguments)
            answers[name].append(found)
            print(
                f"round {number} of {rounds}, {name}: median {statistics.median(found['seconds']):.3f} s, "
                f"peak {found['peak_gb']:.2f} GB",
                flush=True,
            )
    return {
        name: {
            "seconds": statistics.median(s for found in several for s in found["seconds"]),
            "medians_of_rounds": [statistics.median(found["seconds"]) for found in several],
            "peak_gb": max(found["peak_gb"] for found in several),
            "check": several[0].get("check"),
        }
        for name, several in answers.items()
    }


def draw_scenes(folder: Path, count: int, size: int = 1024) -> Path:
    """Draws `count` scenes of size x size (JPEG, masks PNG); returns the folder that holds them."""
    subprocess.run(
        [
            sys.executable,
            "-m",
            "dlinknet",
            "draw-scenes",
            f"--output_path={folder}",
            f"--scene_num={count}",
            f"--scene_size={size}",
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return folder / "train"


def compare(results: dict[str, dict[str, Any]], ours: str, theirs: str) -> dict[str, float]:
    """Ratios of the medians, smaller being better for ours; ends where the two did not compute the same."""
    a, b = results[ours]["check"], results[theirs]["check"]
    if abs(a - b) > 1e-4 * abs(b):
        sys.exit(f"the sides do not compute the same: {a} and {b}")
    return {
        f"{key}_ratio": results[ours][key] / results[theirs][key] for key in ("seconds", "peak_gb")
    }


def keep(name: str, values: dict[str, Any]) -> None:
    """Writes results/NAME.json with date, machine and versions."""
    RESULTS.mkdir(exist_ok=True)
    text = {"date": time.strftime("%Y-%m-%d"), "machine": machine(), **values}
    (RESULTS / f"{name}.json").write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")
    print(f"kept in {RESULTS / name}.json")


def machine() -> dict[str, Any]:
    cpu = next(
        (
            line.split(":")[1].strip()
            for line in open("/proc/cpuinfo", encoding="utf-8")
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    found = {"cpu": cpu, "cores": len(os.sched_getaffinity(0)), "python": platform.python_version()}
    for package in ("mindspore", "torch", "opencv-python-headless", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
