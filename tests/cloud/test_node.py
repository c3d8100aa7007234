"""Processes of one machine, of which one does the work."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from dlinknet.cloud.node import CacheError, Node
from dlinknet.errors import InputError, RunFailed, UserError
from tests.conftest import ROOT

PROCESS = """
import os, sys, time
from pathlib import Path
from dlinknet.cloud.node import Node
from dlinknet.errors import RunFailed
node, what = Node(Path(sys.argv[1])), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
def work(last):
    Path(sys.argv[1], f"worked-{os.getpid()}").touch()
    time.sleep(float(sys.argv[3]))
    if what == "fails":
        raise RunFailed("data_url: obs://b/x: 503 (tried 7 times)")
    return {"made": os.getpid()}
start = time.monotonic()
try:
    print(node.once("data", "obs://b/x", work)["made"], flush=True)
except RunFailed as error:
    print(f"failed: {error} after {time.monotonic() - start:.1f} s", flush=True)
"""


@pytest.fixture
def processes(tmp_path):
    """Return start(count, what, seconds), which starts processes that share a folder and a work."""
    started = []

    def start(count, what, seconds=0.5):
        mine = [
            subprocess.Popen(
                [sys.executable, "-c", PROCESS, str(tmp_path), what, str(seconds)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
            )
            for _ in range(count)
        ]
        started.extend(mine)
        for process in mine:
            assert process.stdout.readline() == "ready\n"
        for process in mine:
            process.stdin.write("go\n")
            process.stdin.flush()
        return mine

    yield start
    for process in started:
        process.kill()
        process.communicate()


def workers(folder):
    return sorted(int(file.name.split("-")[1]) for file in folder.glob("worked-*"))


def test_one_works_and_the_others_use_its_result(processes, tmp_path):
    said = [process.communicate(timeout=30)[0].strip() for process in processes(4, "works")]
    assert len(workers(tmp_path)) == 1 and set(said) == {str(workers(tmp_path)[0])}


def test_one_fails_and_the_others_fail_with_its_reason_at_once(processes, tmp_path):
    said = [process.communicate(timeout=30)[0] for process in processes(4, "fails", 1)]
    assert len(workers(tmp_path)) == 1
    assert all(
        line.startswith("failed: data_url: obs://b/x: 503 (tried 7 times) after ") for line in said
    )
    assert all(float(line.split()[-2]) < 10 for line in said), "they tried it themselves"


def test_one_is_killed_and_another_does_it(processes, tmp_path):
    mine = processes(2, "works", 2)
    while not workers(tmp_path):
        time.sleep(0.02)
    killed = workers(tmp_path)[0]
    os.kill(killed, signal.SIGKILL)
    left = next(process for process in mine if process.pid != killed)
    assert left.communicate(timeout=30)[0].strip() == str(left.pid)


def test_what_an_earlier_run_left_is_no_answer(tmp_path):
    """Neither its failure nor its success: the work is done again, with what was made at hand."""
    earlier, calls = Node(tmp_path), []

    def fail(last):
        raise UserError("there is nothing")

    with pytest.raises(UserError):
        earlier.once("data", "obs://b/x", fail)
    assert Node(tmp_path).once("data", "obs://b/x", lambda last: calls.append(last) or 1) == 1
    assert Node(tmp_path).once("data", "obs://b/x", lambda last: calls.append(last) or 2) == 2
    assert calls == [None, 1]
    node = Node(tmp_path)
    assert node.once("data", "obs://b/x", lambda last: 3) == 3
    assert node.once("data", "obs://b/x", lambda last: pytest.fail("done again")) == 3
    assert node.once("data", "obs://b/y", lambda last: 4) == 4, "another source is other work"
    (tmp_path / ".dlinknet_job.json").write_text("{")
    assert node.once("data", "obs://b/y", lambda last: 5) == 5, "a damaged record is none"


def test_errors_keep_their_kind_and_a_folder_that_cannot_be_made(tmp_path):
    node = Node(tmp_path / "new")

    def full(last):
        raise OSError(28, "No space left on device", "/cache/x")

    for _ in range(2):
        with pytest.raises(OSError, match="No space left"):
            node.once("data", "s", full)
    for number, error in enumerate(
        (RunFailed("x"), UserError("x"), InputError("x", "is empty"), CacheError("x", ": no"))
    ):

        def fail(last, error=error):
            raise error

        for _ in range(2):
            with pytest.raises(type(error)) as raised:
                node.once(f"more {number}", "s", fail)
            assert type(raised.value) is type(error) and str(raised.value) == str(error)
    (tmp_path / "file").write_text("")
    nowhere = Node(tmp_path / "file" / "x")  # no error before there is work to do
    with pytest.raises(CacheError, match="^cannot write to .*; name another folder$"):
        nowhere.once("data", "s", lambda last: 1)


GOOD = {"source": "s", "time": 0.0, "value": {"state": {}}}


@pytest.mark.parametrize(
    "entry",
    [
        7,
        [],
        None,
        "x",
        {},
        {**GOOD, "source": 7},
        {**GOOD, "time": "now"},
        {**GOOD, "time": True},
        {**GOOD, "time": None},
        {"source": "s", "time": 0},
        {**GOOD, "error": "UserError"},
        {**GOOD, "error": "SystemExit", "text": "x"},
        {**GOOD, "error": ["UserError"], "text": "x"},
        {**GOOD, "error": "UserError", "text": 7},
    ],
)
def test_a_record_of_other_types_counts_as_none(tmp_path, entry):
    record = tmp_path / ".dlinknet_job.json"
    record.write_text(json.dumps({"data": entry, "more": GOOD}))
    node = Node(tmp_path)
    node.start = -1.0  # as if the record were this run's
    assert node.last("data") == {} and node.last("more") == GOOD
    assert node.once("data", "s", lambda last: last or "made") == "made"
    assert json.loads(record.read_text())["data"]["value"] == "made"


@pytest.mark.parametrize(
    "content", ["[" * 50_000, '{"data": "\\ud800"}', "[1, 2]", "7", '{"data": 1e400}', "", "\0"]
)
def test_a_record_that_is_broken_counts_as_none(tmp_path, content):
    (tmp_path / ".dlinknet_job.json").write_text(content)
    assert Node(tmp_path).once("data", "s", lambda last: last or "made") == "made"


@pytest.mark.parametrize("value", [None, 7, [], {}, {"state": []}, {"state": None}])
def test_a_value_without_its_fields_counts_as_none(tmp_path, value):
    (tmp_path / ".dlinknet_job.json").write_text(json.dumps({"data": {**GOOD, "value": value}}))
    node = Node(tmp_path)
    node.start = -1.0
    made = node.once("data", "s", lambda last: {"state": {}, "last": last}, {"state": dict})
    assert made == {"state": {}, "last": None}


def test_a_record_from_the_future_is_not_this_runs(tmp_path):
    record = {"data": {**GOOD, "time": time.time() + 3600}}
    (tmp_path / ".dlinknet_job.json").write_text(json.dumps(record))
    assert Node(tmp_path).once("data", "s", lambda last: "made") == "made"
