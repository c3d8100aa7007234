"""Build the C++ program for tests, with the sanitizers, and run it."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

from tests.conftest import ROOT

PACKAGES = (
    "apt-get install g++ cmake pkg-config libopencv-dev libpng-dev libtiff-dev nlohmann-json3-dev"
)


def lacking() -> str:
    """Return why the program cannot be built here; '' if it can."""
    tools = [tool for tool in ("cmake", "c++", "pkg-config") if not shutil.which(tool)]
    if tools:
        return f"{', '.join(tools)} is missing: {PACKAGES}"
    for library in ("opencv4", "libpng", "libtiff-4", "nlohmann_json"):
        if subprocess.run(["pkg-config", "--exists", library]).returncode:
            return f"{library} is missing: {PACKAGES}"
    return ""


def build(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess:
    """Run build.sh into `folder`, with warnings as errors."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if name not in ("LITE_HOME", "MINDSPORE_HOME")
    }
    return subprocess.run(
        ["bash", str(ROOT / "ascend310_infer" / "build.sh"), *words, "-DSTRICT=ON"],
        capture_output=True,
        text=True,
        env={**clean, "BUILD_DIR": str(folder), **environment},
    )


def built(folder: Path, *words: str, **environment: str) -> Path:
    """Build the program, and return its path."""
    result = build(folder, *words, **environment)
    assert result.returncode == 0, result.stderr + (folder / "build.log").read_text()[-3000:]
    return Path(result.stdout.strip())


def target(folder: Path, name: str) -> Path:
    """Build another program of the same folder: read_inputs, print_parts or decode_files."""
    # build.sh holds this lock too: two builds in one folder would disturb each other.
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(
            ["cmake", "--build", str(folder), "--target", name], check=True, capture_output=True
        )
    return folder / name


def run(program: Path, *arguments: str, **kwargs) -> subprocess.CompletedProcess:
    """Run a program under the sanitizers.

    A leak, an overflow or undefined behaviour ends it with status 99 and a long report.
    """
    options = {
        "ASAN_OPTIONS": "detect_leaks=1:exitcode=99:allocator_may_return_null=1",
        "UBSAN_OPTIONS": "halt_on_error=1:exitcode=99",
    }
    return subprocess.run(
        [str(program), *arguments],
        capture_output=True,
        text=True,
        timeout=400,
        env={**os.environ, **options, **kwargs.pop("env", {})},
        **kwargs,
    )
