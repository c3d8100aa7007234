"""Shared by the tests: MindSpore on the CPU, tiny data, and commands in processes of their own."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Callable

import cv2
import numpy as np
import pytest

from dlinknet.devices import runtime

ROOT = Path(__file__).resolve().parent.parent

# Once a session, as the commands prepare it, and before a test imports MindSpore, which reads its
# environment then.
runtime.start("CPU", 0, seed=1)

import mindspore  # noqa: E402
from mindspore import Parameter, Tensor  # noqa: E402

from dlinknet import models  # noqa: E402
from dlinknet.__main__ import run_prepared  # noqa: E402
from dlinknet.checkpoints.load import set_value  # noqa: E402
from dlinknet.checkpoints.save import save  # noqa: E402
from dlinknet.console import LOG  # noqa: E402
from dlinknet.data.preprocess import to_input  # noqa: E402

try:
    import hypothesis
except ImportError:  # the tests that need it are skipped
    pass
else:
    # The same examples in every run, and no deadline, because the machine may be slow.
    hypothesis.settings.register_profile(
        "dlinknet",
        deadline=None,
        derandomize=True,
        max_examples=50,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.settings.load_profile("dlinknet")
# The slow files, the slowest first. With two workers a slow file at the end leaves one idle.
LONG = (
    "test_notebook.py",
    "commands/test_modelarts.py",
    "models/test_linknet.py",
    "export/test_exporter.py",
    "commands/test_survival.py",
    "training/test_resume.py",
    "commands/test_train_and_eval.py",
    "ascend310_infer/test_program.py",
    "launching/test_launch_scripts.py",
    "commands/test_export.py",
    "ascend310_infer/test_script.py",
    "training/test_loop.py",
    "training/test_together.py",
    "commands/test_predict.py",
    "commands/test_convert.py",
    "commands/test_classes.py",
    "commands/test_mistakes.py",
    "models/test_precision.py",
)


def pytest_addoption(parser):
    parser.addoption(
        "--all", action="store_true", help="also the slow tests: whole matrices of models and sizes"
    )


def pytest_collection_modifyitems(config, items):
    place = {ROOT / "tests" / name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path, len(LONG)))
    if not config.getoption("--all"):  # run_tests.sh --all runs the others too
        slow = [
            item
            for item in items
            if item.get_closest_marker("slow") or item.get_closest_marker("long")
        ]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]


@pytest.fixture(scope="session")
def networks():
    """Return build(name, classes, decoder), which returns a network.

    Its weights and BatchNorm statistics are random. Each network is built once in a session.
    """
    built = {}

    def build(name, classes=1, decoder="full"):
        if (name, classes, decoder) not in built:
            mindspore.set_seed(7)
            network = models.build(name, classes, decoder=decoder)
            rng = np.random.default_rng(7)
            for p in network.get_parameters():
                if re.search(r"layer\d\.\d+\.bn[23]\.gamma", p.name):
                    # Trained networks have small values here too. With larger ones a hundred layers
                    # would multiply their rounding errors.
                    set_value(p, rng.uniform(0.1, 0.3, p.shape).astype(np.float32))
                elif p.name.endswith(("gamma", "moving_variance")):
                    set_value(p, rng.uniform(0.5, 1.0, p.shape).astype(np.float32))
                elif p.name.endswith(("beta", "moving_mean")):
                    set_value(p, rng.normal(0, 0.1, p.shape).astype(np.float32))
            built[name, classes, decoder] = network
        return built[name, classes, decoder]

    return build


@pytest.fixture(scope="session")
def spread_checkpoint(networks, tmp_path_factory):
    """Return write(model, classes, decoder), which returns a checkpoint of random weights.

    The logits have a wide range. In each map of one image half of them are above 0.
    """
    written = {}

    def write(model, classes=1, decoder="full"):
        if (model, classes, decoder) not in written:
            network = networks(model, classes, decoder)
            logits = network.set_train(False)(Tensor(to_input(stripes(0)[0])[None])).asnumpy()
            values = {p.name: p.asnumpy() for p in network.get_parameters()}
            values["head.conv2.bias"] = values["head.conv2.bias"] - np.median(logits, (0, 2, 3))
            for name in ("head.conv2.weight", "head.conv2.bias"):
                values[name] = values[name] * np.float32(3 / logits.std())
            file = written[model, classes, decoder] = (
                tmp_path_factory.mktemp("weights") / "random.ckpt"
            )
            table = (
                {}
                if classes == 1
                else {
                    "class_table": {
                        "classes": [
                            {"name": f"class {n}", "colour": [40 * n, 0, 250], "values": [7 * n]}
                            for n in range(classes)
                        ]
                    }
                }
            )
            save(
                file,
                [Parameter(Tensor(value), name=name) for name, value in values.items()],
                {"model": model, "classes": classes, "decoder": decoder, **table},
            )
        return written[model, classes, decoder]

    return write


def write_pair(
    folder: Path, id: str, image: np.ndarray, mask: np.ndarray, mask_folder: Path | None = None
) -> None:
    """Write ID_sat.jpg and ID_mask.png."""
    folder.mkdir(parents=True, exist_ok=True)
    mask_folder = mask_folder or folder
    mask_folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / f"{id}_sat.jpg"), image)
    cv2.imwrite(str(mask_folder / f"{id}_mask.png"), mask)


def stripes(seed: int, height: int = 64, width: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Return (image, mask): a grey road of 10 pixels across noisy green ground.

    The image is BGR uint8, the mask 0 and 255.
    """
    rng = np.random.default_rng(seed)
    image = np.clip(rng.normal((40, 110, 60), 12, (height, width, 3)), 0, 255).astype(np.uint8)
    mask = np.zeros((height, width), np.uint8)
    at = int(rng.integers(8, height - 18))
    mask[at : at + 10] = 255
    image[mask > 0] = 150
    return image, mask


@pytest.fixture
def stripe_data(tmp_path):
    """Return a DeepGlobe folder with six pairs of 64 x 64 pixels, IDs r0 to r5."""
    folder = tmp_path / "stripe data"
    for number in range(6):
        write_pair(folder, f"r{number}", *stripes(number))
    return folder


def wait_for(condition: Callable[[], object], seconds: float = 20) -> None:
    """Return when the condition holds. Fail after `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


def command(
    name: str, *arguments: str, cwd: Path | None = None, timeout: int = 300
) -> subprocess.CompletedProcess:
    """Run a command in a process of its own, as a user does.

    Args:
        name: a file as 'train.py', or a command of `python -m dlinknet` as 'split-data'.
    """
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)}
    program = [str(ROOT / name)] if name.endswith(".py") else ["-m", "dlinknet", name]
    return subprocess.run(
        [sys.executable, *program, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=cwd or ROOT,
        env=environment,
    )


def call(name: str, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess:
    """Run a command in this process, which saves the start of Python and MindSpore.

    The result has what Python printed. What a library prints from C does not appear there: a test
    about that, about signals or about memory uses command().

    Args:
        name: as for command().
    """
    stem = name.removesuffix(".py")
    program = name if name.endswith(".py") else f"dlinknet {name}"
    before, logging = (Path.cwd(), sys.argv), (LOG.level, LOG.propagate)
    out, err, status = io.StringIO(), io.StringIO(), 0
    os.chdir(cwd or ROOT)
    sys.argv = [program, *arguments]
    try:
        with redirect_stdout(out), redirect_stderr(err):
            run_prepared(stem)
    except SystemExit as end:
        status = end.code
    finally:
        os.chdir(before[0])
        sys.argv = before[1]
        LOG.level, LOG.propagate = logging
        for handler in list(LOG.handlers):
            LOG.removeHandler(handler)
            handler.close()
    return subprocess.CompletedProcess(
        [program, *arguments], status, out.getvalue(), err.getvalue()
    )


def refused(result: subprocess.CompletedProcess, *words: str, status: int = 2) -> str:
    """Assert that a command ended with one line on stderr that has `words`; return the line."""
    lines = result.stderr.strip().splitlines()
    assert result.returncode == status, result.stderr + result.stdout
    assert len(lines) == 1 and "Traceback" not in result.stdout, result.stderr + result.stdout
    for word in words:
        assert word in lines[0], lines[0]
    return lines[0]
