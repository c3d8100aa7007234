"""The C++ program, built once for all files of tests."""

from __future__ import annotations

import os
from pathlib import Path

import mindspore
import pytest

from tests.ascend310_infer import build


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the program, built with OpenCV. The workers of pytest-xdist share it."""
    if mindspore.__version__.startswith("2.0"):
        pytest.skip("this program has no MindSpore: it is tested with the later version")
    base = tmp_path_factory.getbasetemp()
    place = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cpp" / "build"
    # The sanitizers make the code slow to compile; without optimization it takes half the time.
    build.built(place, "opencv", "-DSANITIZE=ON", "-DCMAKE_CXX_FLAGS_RELEASE=-O1")
    return place
