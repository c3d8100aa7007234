"""Measure sides in turn, each in its own process: medians, ratios and a JSON file."""

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
    """Return the seconds of each of `times` calls, after `warm_up` calls that do not count."""
    for _ in range(warm_up):
        call()
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return seconds


def answer(**values: Any) -> None:
    """Print the values that a side measured, with peak_gb, the peak memory of its process."""
    values["peak_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print("ANSWER " + json.dumps(values))


def side(script: str, name: str, *arguments: str, python: str = sys.executable) -> dict[str, Any]:
    """Run the script in a new process that measures one side; return the values of answer()."""
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
    """Measure the sides one after another, `rounds` times.

    Return name -> the median of the seconds over all calls, the median of each round, the largest
    peak memory in GB, and the check value of the first round.
    """
    answers: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for number in range(1, rounds + 1):
        for name in names:
            found = side(script, name, *arguments)
            answers[name].append(found)
            print(
                f"round {number} of {rounds}, {name}: "
                f"median {statistics.median(found['seconds']):.3f} s, "
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
    """Draw `count` scenes of size x size pixels (JPEG, masks PNG); return their folder."""
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


def compare(results: dict[str, dict[str, Any]], name: str, reference: str) -> dict[str, float]:
    """Return a side's seconds and memory relative to those of a reference.

    Exit if the two sides did not compute the same value.
    """
    a, b = results[name]["check"], results[reference]["check"]
    if abs(a - b) > 1e-4 * abs(b):
        sys.exit(f"the sides do not compute the same: {a} and {b}")
    return {
        f"{key}_ratio": results[name][key] / results[reference][key]
        for key in ("seconds", "peak_gb")
    }


def keep(name: str, values: dict[str, Any]) -> None:
    """Write results/NAME.json: the values with date, machine and versions."""
    RESULTS.mkdir(exist_ok=True)
    text = {"date": time.strftime("%Y-%m-%d"), "machine": machine(), **values}
    (RESULTS / f"{name}.json").write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")
    print(f"kept in {RESULTS / name}.json")


def machine() -> dict[str, Any]:
    """Return the processor, its cores and the versions of the packages."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = (line.split(":")[1].strip() for line in file if line.startswith("model name"))
        cpu = next(models, platform.processor())
    found = {"cpu": cpu, "cores": len(os.sched_getaffinity(0)), "python": platform.python_version()}
    for package in ("mindspore", "torch", "opencv-python-headless", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
