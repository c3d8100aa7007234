"""Training, evaluation and export as jobs in their own processes: the store before and after.

tests/cloud tests the parts of this in the default suite. The whole takes a minute per store, so
only .ci/run has it.
"""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from types import SimpleNamespace

import pytest

from tests.cloud.conftest import moxing, obs, obs_server  # noqa: F401  (fixtures)
from tests.conftest import ROOT, stripes, write_pair

SMALL = (
    "--model_name=linknet18",
    "--device_target=CPU",
    "--batch_size=2",
    "--num_workers=1",
    "--log_name=roads",
)
pytestmark = pytest.mark.long


@pytest.fixture(params=["obs", "moxing", "local"])
def place(request, tmp_path):
    """A store, or folders of the machine, which a current job's platform fills and empties."""
    if request.param != "local":
        return request.getfixturevalue(request.param)
    root = tmp_path / "platform"

    def put(key, content):
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_bytes(content)

    return SimpleNamespace(
        environment={},
        url=lambda key="": str(root / key),
        put=put,
        contents=lambda prefix="": {
            str(file.relative_to(root)): file.read_bytes()
            for file in root.rglob("*")
            if file.is_file()
            and str(file.relative_to(root)).startswith(prefix)
            and not file.name.startswith(".")
        },
    )


@pytest.fixture
def start(place, tmp_path):
    """Return start(command, argument...): a job in a container with its own cache and folder."""
    count = []

    def start(name, *arguments):
        count.append(name)
        here = tmp_path / f"container {len(count)}"
        here.mkdir()
        return subprocess.Popen(
            [
                sys.executable,
                str(ROOT / name),
                "--enable_modelarts=True",
                f"--cache_path={here}/cache",
                *arguments,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=here,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **place.environment},
        )

    return start


def ended(process):
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 0, said
    return said


def test_a_training_that_is_reclaimed_goes_on_and_its_network_is_scored_and_exported(
    place, start, tmp_path
):
    content = io.BytesIO()
    for number in range(6):
        write_pair(tmp_path / "roads", f"r{number}", *stripes(number))
    with zipfile.ZipFile(content, "w") as archive:
        for file in sorted((tmp_path / "roads").iterdir()):
            archive.write(file, f"roads/{file.name}")
    place.put("in/roads.zip", content.getvalue())
    place.put("valid/r9_sat.jpg", (tmp_path / "roads" / "r5_sat.jpg").read_bytes())
    place.put("valid/r9_mask.png", (tmp_path / "roads" / "r5_mask.png").read_bytes())
    training = (
        "train.py",
        *SMALL,
        f"--data_url={place.url('in')}",
        f"--train_url={place.url('run')}",
        "--save_steps=1",
        "--num_gpus=0",
    )

    first = start(*training, "--epoch_num=1000")
    said = ""
    while "epoch 1/1000: loss" not in said:  # so it is in the middle of the second, or a later one
        said += first.stdout.readline()
        assert first.poll() is None, said
    last = place.contents("run/roads_last.ckpt")
    end = time.monotonic() + 60
    while place.contents("run/roads_last.ckpt") == last:
        assert time.monotonic() < end
        time.sleep(0.1)
    first.send_signal(signal.SIGTERM)
    said += first.communicate(timeout=60)[0]
    assert first.returncode == 143 and "Traceback" not in said, said
    assert (
        "train.py: error: ended by SIGTERM; " in said and "roads_last.ckpt is whole (epoch " in said
    )
    # With a local train_url there is nothing to take away.
    assert (f"the outputs are in {place.url('run')}" in said) == ("://" in place.url())
    assert said.count("--num_gpus=0") == 2, (
        "once as a platform's argument, once in the command's own line"
    )
    done = len(
        list(csv.DictReader(io.StringIO(place.contents("run")["run/roads_epochs.csv"].decode())))
    )

    said = ended(start(*training, f"--epoch_num={done + 2}"))
    assert (
        "going on with the training that is at" in said
        and "resumed from" in said
        and "training is done" in said
    )
    stored = place.contents("run")
    rows = list(csv.DictReader(io.StringIO(stored["run/roads_epochs.csv"].decode())))
    assert [int(row["epoch"]) for row in rows] == list(range(1, done + 3))
    assert {
        f"run/roads_{name}"
        for name in (
            "best.ckpt",
            "last.ckpt",
            "plateau.ckpt",
            "config.yaml",
            "split.json",
            "train.log",
            "curves.png",
            "epochs.csv",
        )
    } <= set(stored)
    assert (
        stored["run/roads_train.log"].decode().count("resumed from") == 1
        and b"epoch 1/1000" in stored["run/roads_train.log"]
    )

    said = ended(
        start(
            "eval.py",
            f"--data_url={place.url('valid')}",
            f"--trained_ckpt={place.url('run')}",
            f"--train_url={place.url('scores')}",
            "--device_target=CPU",
        )
    )
    scores = place.contents("scores")
    figures = json.loads(scores["scores/figures.json"])
    assert f"road_iou: {figures['road_iou']:.4f}" in said and {
        "scores/r9_mask.png",
        "scores/overlays/r9_overlay.jpg",
    } <= set(scores)

    ended(
        start(
            "export.py",
            f"--trained_ckpt={place.url('run/roads_best.ckpt')}",
            f"--train_url={place.url('exports')}",
            "--file_name=./roads",
            "--file_format=MINDIR",
            "--width=64",
            "--height=64",
            "--batch_size=1",
        )
    )
    exports = place.contents("exports")
    assert set(exports) == {"exports/roads.mindir", "exports/roads.mindir.json"}
    assert json.loads(exports["exports/roads.mindir.json"])["model"] == "linknet18"
