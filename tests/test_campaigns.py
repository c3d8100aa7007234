"""The campaigns detect the faults that they look for. Each fault is made here once.

The campaigns themselves run in .ci/run.
"""

from __future__ import annotations

import mmap
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import cv2
import numpy as np
import pytest

from dlinknet.errors import RunFailed, UserError
from dlinknet.images import read
from tests.campaigns import bad_inputs, forks, image_kinds, pictures, plans, png, runs
from tests.campaigns.forks import Case, Kind, try_once
from tests.campaigns.ledger import Ledger


def outcome_of(run, tmp_path, refuses=()):
    """Return the campaign's record of a function that is given a bad input."""
    return try_once(
        Kind("planted", 1, lambda rng: Case("a fault", run, refuses)),
        "planted-0",
        "1:planted-0",
        tmp_path / "trial",
    )


def raises(error):
    def run():
        raise error

    return run


def many_lines():
    for _ in range(10):
        os.write(2, b"a library says something\n")


@pytest.mark.parametrize(
    "run, outcome, text",
    [
        (lambda: "all well", "passed", "all well"),
        (
            raises(UserError("data_path: a.png is truncated")),
            "refused",
            "data_path: a.png is truncated",
        ),
        (raises(RunFailed("out of memory")), "refused", "out of memory"),
        (raises(KeyError("values")), "traceback", "KeyError: 'values'"),
        (raises(SystemExit(3)), "traceback", "SystemExit: 3"),
        (
            raises(OSError(36, "File name too long")),
            "traceback",
            "OSError: [Errno 36] File name too long",
        ),
        (raises(BufferError("x" * 1001)), "message", "[1001 characters] xxx"),
        (raises(BufferError("one line\nanother")), "message", "[2 lines] one line"),
        (raises(BufferError("a name \x1b[31m in red")), "message", "[unprintable '\\x1b'] a name"),
        (
            raises(forks.Disagrees("checked as 3 x 4, read as 4 x 3")),
            "disagrees",
            "checked as 3 x 4",
        ),
        (lambda: os.kill(os.getpid(), signal.SIGSEGV), "crash", "ended by SIGSEGV"),
        (lambda: os._exit(7), "crash", "ended by status 7"),
        (lambda: bytearray(4 << 30), "memory", "MemoryError"),
        (many_lines, "noise", "10 lines were printed: a library says something"),
    ],
)
def test_each_outcome_is_told_from_the_others(run, outcome, text, tmp_path):
    record = outcome_of(run, tmp_path, (BufferError,))
    assert record["outcome"] == outcome and record["text"].startswith(text), record
    assert (tmp_path / "trial").exists() == (outcome not in forks.FINE), (
        "the input of a fault is kept, no other one"
    )


def test_an_exception_that_the_function_documents_is_no_fault(tmp_path):
    assert (
        outcome_of(raises(LookupError("no tensor")), tmp_path, (LookupError,))["outcome"]
        == "refused"
    )


def test_a_hang_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(forks, "SECONDS", 0.5)
    start = time.monotonic()
    record = outcome_of(lambda: time.sleep(60), tmp_path)
    assert (
        record["outcome"] == "hang"
        and record["what"] == "a fault"
        and time.monotonic() - start < 10
    )


def test_memory_that_was_used_counts_also_where_the_line_is_a_good_one(tmp_path, monkeypatch):
    def greedy():
        mmap.mmap(-1, 20 << 20).write(b"x" * (20 << 20))  # more than the heap may have free
        raise UserError("the image is too large")

    assert outcome_of(greedy, tmp_path)["outcome"] == "refused"
    monkeypatch.setattr(forks, "RESIDENT", 10 << 20)
    record = outcome_of(greedy, tmp_path)
    assert record["outcome"] == "memory" and record["text"].endswith("then: the image is too large")


@pytest.fixture
def whole_png(monkeypatch):
    """Make the campaigns draw undamaged colour PNGs, which every check accepts."""

    def draw(rng, height, width):
        content = np.random.default_rng(rng.getrandbits(64)).integers(
            0, 256, (height, width, 3), np.uint8
        )
        data = cv2.imencode(".png", content[:, :, ::-1])[1].tobytes()
        return pictures.Picture(data, ".png", "PNG", content)

    monkeypatch.setattr(pictures, "SOURCES", (draw,))
    monkeypatch.setattr(pictures, "hurt", lambda rng, picture: picture)
    monkeypatch.setattr(image_kinds, "SUFFIXES", (".png",))


def refusing(read):
    def refuse(file):
        raise UserError(f"{file}: cannot be read as an image")

    return refuse


@pytest.mark.parametrize(
    "fault, text",
    [
        (lambda read: lambda file: read(file), ""),
        (lambda read: lambda file: read(file).transpose(1, 0, 2), "checked as "),
        (lambda read: lambda file: read(file) // 2, "silently wrong pixels of a whole PNG"),
        (
            lambda read: lambda file: np.random.default_rng().permutation(read(file)),
            "read_image gives other pixels the second time",
        ),
        (refusing, "the check passes, the reader does not"),
    ],
)
def test_a_reader_that_disagrees_with_its_check_is_seen(
    fault, text, tmp_path, monkeypatch, whole_png
):
    monkeypatch.setattr(read, "read_image", fault(read.read_image))
    monkeypatch.setattr(Random, "random", lambda self: 0.5)  # the way of a training, with its check
    monkeypatch.setattr(image_kinds, "_size", lambda rng: (32, 40))
    record = try_once(image_kinds.KINDS[0], "image-0", "1:image-0", tmp_path / "trial")
    assert record["outcome"] == ("disagrees" if text else "passed") and record["text"].startswith(
        text
    ), record


@pytest.mark.parametrize(
    "colour, depth",
    [(colour, depth) for colour, depths in png.DEPTHS.items() for depth in depths if depth < 16],
)
def test_the_pngs_that_are_drawn_hold_what_they_say(colour, depth, monkeypatch):
    monkeypatch.setattr(png, "CHANNELS", {colour: png.CHANNELS[colour]})
    monkeypatch.setattr(png, "DEPTHS", {colour: (depth,)})
    for seed in range(8):
        data, said, colours = png.draw(Random(seed), 13, 21)
        if "animated" not in said:
            read = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
            assert np.array_equal(read[:, :, ::-1], colours), said


def test_a_campaign_names_its_faults_goes_on_and_repeats_one(tmp_path, monkeypatch, capsys):
    def make(rng):
        number = rng.randrange(1000)
        return Case(
            f"the number {number}", raises(KeyError(number)) if number % 2 else lambda: number
        )

    monkeypatch.setattr(bad_inputs, "KINDS", {"a number": Kind("a number", 1, make)})
    numbers = [Random(f"3:a_number-{place}").randrange(1000) for place in range(8)]
    odd = [place for place, number in enumerate(numbers) if number % 2]
    arguments = [f"--folder={tmp_path}", "--seed=3", "--workers=2", "--kinds=a number"]
    assert odd and bad_inputs.main([*arguments, "--number=4"]) == 1
    assert bad_inputs.main([*arguments, "--number=8"]) == 1
    said = capsys.readouterr().out
    assert (
        f"8 bad inputs, {len(odd)} wrong" in said
        and f"a_number-{odd[0]}: KeyError: {numbers[odd[0]]}" in said
    )
    assert len(Ledger(tmp_path).file.read_text().split()) and len(Ledger(tmp_path).read()) == 8
    assert sorted(each.name for each in tmp_path.iterdir() if each.is_dir()) == sorted(
        f"a_number-{place}" for place in odd
    )
    assert bad_inputs.main([*arguments, f"--only=a_number-{odd[0]}"]) == 1
    assert f"what: the number {numbers[odd[0]]}" in capsys.readouterr().out


def test_a_line_that_a_kill_cut_short_is_passed_over(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.add({"trial": "a", "text": "first"})
    with open(ledger.file, "a", encoding="utf-8") as file:
        file.write('{"trial": "b", "te')
    ledger.add({"trial": "c", "text": "third"})
    assert list(ledger.read()) == ["a", "c"]


def plan(signals, target="training"):
    return plans.Plan(signals, target, 0, 1.0, 0.1, 0.5)


COMPILES = "the first step compiles the network and takes longer"
DONE, LINE = "... training is done", ["train.py: error: interrupted; --resume goes on"]


@pytest.mark.parametrize(
    "way, disturbed, status, lines, log, wrong",
    [
        ("one process", plan("KILL"), -9, [], "", []),
        ("one process", plan("TERM"), 143, LINE, "", []),
        (
            "one process",
            plan("TERM"),
            0,
            [],
            "epoch 1/3",
            ["status 0, not 143", "0 lines on stderr, not 1"],
        ),
        ("one process", plan("TERM"), 0, [], DONE, []),
        (
            "one process",
            plan("INT twice"),
            130,
            LINE * 2,
            "",
            ["2 lines on stderr, not 1: train.py: error: interrupted; --resume goes on"],
        ),
        (
            "one process",
            plan("INT"),
            130,
            LINE,
            "Traceback (most recent call last)",
            ["Traceback in what was printed"],
        ),
        ("one process", plan("TERM"), -15, [], "", ["status -15, not 143"]),
        (
            "one process",
            plan("TERM"),
            143,
            ["train.py: error: ended"],
            COMPILES,
            ["the line does not name what --resume goes on from: train.py: error: ended"],
        ),
        ("one process", plan("TERM"), 143, ["train.py: roads_last.ckpt"], COMPILES, []),
        (
            "one process",
            None,
            1,
            LINE,
            "",
            [
                "status 1, not 0",
                "1 lines on stderr, not 0: train.py: error: interrupted; --resume goes on",
            ],
        ),
        (
            "one process",
            None,
            0,
            ["a warning"],
            DONE,
            ["status 0 with 1 lines on stderr: a warning"],
        ),
        ("script", plan("KILL"), 137, LINE, "", []),
        ("script", plan("KILL", "command"), -9, [], "", []),
        ("two processes", plan("KILL"), 1, LINE, "", []),
        ("two processes", plan("TERM", "command"), 143, LINE, "", []),
    ],
)
def test_how_an_end_is_judged(way, disturbed, status, lines, log, wrong):
    found = plans.judge(runs.WAYS[way], disturbed, status, lines, log)
    found = [each.partition(": ")[0] if each.startswith("0 lines") else each for each in found]
    assert [each for each in found if each not in wrong] == [] and len(
        [each for each in wrong if each in found]
    ) == len(wrong), found


def test_behind_its_last_line_a_training_may_end_by_the_signal():
    ended = plan("TERM")
    assert plans.statuses(runs.WAYS["job"], ended) == (143,)
    ended.over = True
    assert plans.statuses(runs.WAYS["job"], ended) == (143, 0, -15)


def test_a_changed_bit_and_another_best_are_seen():
    whole = {
        "last.ckpt": ({"a": b"1", "b": b"2"}, {"epoch": 2}),
        "best.ckpt": ({"a": b"1"}, {"epoch": 2}),
    }
    assert runs.differences(whole, whole) == []
    other = {"last.ckpt": ({"a": b"1", "b": b"3"}, {"epoch": 2}), "best.ckpt": ({}, {"epoch": 1})}
    assert runs.differences(whole, other) == [
        "last.ckpt: 1 of 2 tensors differ, b first",
        "best.ckpt: 1 of 1 tensors differ, a first",
        "best.ckpt: best is {'epoch': 1}, not {'epoch': 2}",
    ]


def test_files_that_are_left_over_missing_or_not_whole_are_seen(tmp_path):
    way, out = runs.WAYS["one process"], tmp_path / "out"
    out.mkdir()
    for name in runs.WRITTEN - {"roads_plateau.ckpt"}:
        (out / name).write_text("{}")
    (out / ".roads_last.123.ckpt").write_text("half")
    (out / ".roads.lock").write_text("")
    (out / "roads_epochs.csv").write_text("epoch,loss\n1,0.5\n2,0.4\n")
    assert runs.faults_of_files(way, tmp_path) == [
        ".roads_last.123.ckpt was left over",
        "roads_plateau.ckpt is missing",
        "roads_epochs.csv has the epochs ['1', '2']",
        "roads_curves.png is not whole",
    ]


TRAIN = """import os
os.makedirs("out")
for name in "ab":
    with open(f"out/.{name}", "w") as file:
        file.write(name)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"out/.{name}", f"out/{name}")
open("elsewhere", "w").close()
"""


@pytest.mark.parametrize(
    "at, status, left",
    [(0, 0, ["a", "b"]), (1, -9, []), (3, -9, [".a"]), (4, -9, ["a"]), (6, -9, [".b", "a"])],
)
def test_the_aim_lists_each_change_of_a_file_and_kills_before_it(at, status, left, tmp_path):
    (tmp_path / "train.py").write_text(TRAIN)
    environment = {
        **os.environ,
        "PYTHONPATH": str(runs.AIM),
        "AIM_WATCHED": str(tmp_path / "out"),
        "AIM_LIST": str(tmp_path / "list"),
        "AIM_AT": str(at),
        "AIM_SECONDS": "0",
    }
    ended = subprocess.run(
        [sys.executable, "train.py"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert ended.returncode == status, ended.stderr
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == left
    events = ["open .a", "fsync .a", "os.rename a", "open .b", "fsync .b", "os.rename b"]
    listed = (tmp_path / "list").read_text().splitlines()
    assert listed == events[: at or None], listed


def test_what_a_run_leaves_behind_is_killed_and_counted(tmp_path):
    way = runs.Way(
        "planted", lambda place, resumes: ["bash", "-c", "sleep 60 & sleep 60 & exit 3"], "out"
    )
    run = runs.Run(way, Path(tmp_path), False, {})
    assert run.wait(10) == 3 and len(run.members("sleep")) == 2
    assert run.clear(0) == 2 and run.members() == []
