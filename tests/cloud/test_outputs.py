"""A job's outputs: uploaded while the job writes them, and when a signal ends the job."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from dlinknet.cloud import outputs as module
from dlinknet.cloud.open_store import open_store
from dlinknet.cloud.outputs import Outputs
from dlinknet.errors import RunFailed
from tests.conftest import ROOT, wait_for


@pytest.fixture
def send(remote, tmp_path, monkeypatch, quick):
    """make(whole, known) -> Outputs of the folder `out`, which looks often."""
    monkeypatch.setattr(module, "LOOK", 0.05)
    (tmp_path / "out").mkdir()
    made = []

    def make(whole=True, known=()):
        made.append(
            Outputs(
                remote.store,
                tmp_path / "out",
                remote.url("results"),
                whole,
                list(known),
            )
        )
        return made[-1]

    yield make
    for each in made:
        each.ended.set()
        if each.thread.is_alive():
            each.thread.join()


def replace(file, content):
    file.with_name(f".{file.name}.tmp").write_bytes(content)
    os.replace(file.with_name(f".{file.name}.tmp"), file)


def test_new_and_changed_files_go_while_the_job_runs(send, remote, tmp_path):
    out = tmp_path / "out"
    (out / "old.txt").write_bytes(b"was there")
    watched = send(known=["old.txt"])
    watched.start()
    replace(out / "a_best.ckpt", b"epoch 1")
    (out / "deep").mkdir()
    replace(out / "deep" / "x.csv", b"x")
    wait_for(
        lambda: (
            remote.contents() == {"results/a_best.ckpt": b"epoch 1", "results/deep/x.csv": b"x"}
        ),
        10,
    )
    replace(out / "a_best.ckpt", b"epoch 2")
    wait_for(lambda: remote.contents().get("results/a_best.ckpt") == b"epoch 2", 10)
    (out / ".hidden").write_text("bookkeeping")
    (out / "a_previous.ckpt").write_text("the one before")
    (out / "a_train.log").write_text("a line\n")
    watched.finish()
    assert remote.contents() == {
        "results/a_best.ckpt": b"epoch 2",
        "results/deep/x.csv": b"x",
        "results/a_train.log": b"a line\n",
    }
    assert not (tmp_path / ".upload").exists()


def test_the_newest_checkpoint_goes_last_with_what_is_not_older(
    send, remote, tmp_path, monkeypatch
):
    """`last` says what the other files must hold, so it is uploaded after them.

    If the job dies in between, another job can resume from the store.
    """
    out, sent, lock = tmp_path / "out", [], threading.Lock()
    for name in ("a_last.ckpt", "a_best.ckpt", "a_plateau.ckpt", "b.txt"):
        (out / name).write_bytes(b"1")
    put = module.transfer.put_file

    def slow(store, file, url):
        if url.endswith("_best.ckpt"):  # the next epoch ends while this one's files travel
            for name in ("a_plateau.ckpt", "a_last.ckpt"):
                replace(out / name, b"2")
        with lock:
            sent.append((url.rpartition("/")[2], file.read_bytes()))
        put(store, file, url)

    monkeypatch.setattr(module.transfer, "put_file", slow)
    send()._send(settled=False)
    assert sorted(sent[:3]) == [
        ("a_best.ckpt", b"1"),
        ("a_plateau.ckpt", b"1"),
        ("b.txt", b"1"),
    ] and sent[3:] == [("a_last.ckpt", b"1")]


def test_files_that_do_not_appear_whole_are_taken_when_they_have_settled(send, remote, tmp_path):
    watched = send(whole=False)
    (tmp_path / "out" / "mask.png").write_bytes(b"half")
    watched._send(settled=True)
    assert remote.contents() == {}
    (tmp_path / "out" / "mask.png").write_bytes(b"a whole mask")
    watched._send(settled=True)
    assert remote.contents() == {}
    watched._send(settled=True)
    assert remote.contents() == {"results/mask.png": b"a whole mask"}


def test_a_file_that_breaks_off_goes_with_the_next_ones_and_fails_the_job_only_at_its_end(
    obs, tmp_path, monkeypatch, quick
):
    monkeypatch.setattr(module, "LOOK", 0.05)
    monkeypatch.setattr(module, "REST", 0.05)
    (tmp_path / "out").mkdir()
    watched = Outputs(
        open_store(obs.environment),
        tmp_path / "out",
        obs.url("results"),
        True,
        [],
    )
    obs.cut = ["PUT", "a.txt", 8]
    (tmp_path / "out" / "a.txt").write_bytes(b"x" * 1000)
    watched.start()
    wait_for(lambda: obs.contents() == {"results/a.txt": b"x" * 1000}, 10)
    obs.cut = ["PUT", "b.txt", 99999]
    (tmp_path / "out" / "b.txt").write_bytes(b"y" * 1000)
    with pytest.raises(RunFailed, match=r"^obs://.*/results/b.txt: .*; the outputs are in .*/out$"):
        watched.finish()
    assert list(obs.contents()) == ["results/a.txt"]


@pytest.mark.parametrize(
    "number, words", [(signal.SIGTERM, "ended by SIGTERM"), (signal.SIGINT, "interrupted (SIGINT)")]
)
def test_a_signal_takes_what_is_whole_to_the_store(moxing, tmp_path, number, words):
    """At once, also while Python waits for a computation to come back."""
    code = """
from dlinknet import signals
signals.prepare()
import hashlib, sys
from pathlib import Path
from dlinknet.cloud import outputs
from dlinknet.cloud.open_store import open_store
out = Path(sys.argv[1]); outputs.LOOK = 60
made = outputs.Outputs(open_store({}), out, "s3://roads/results", True, [])
with signals.rescuing(made.rescue):
    made.start()
    (out / "a_last.ckpt").write_text("step 7")
    print("ready", flush=True)
    # Takes minutes, in which no Python signal handler runs.
    hashlib.pbkdf2_hmac("sha256", b"a", b"b", 10 ** 9)
"""
    (tmp_path / "out").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **moxing.environment},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout.readline() == "ready\n"
    start = time.monotonic()
    process.send_signal(number)
    said, complaints = process.communicate(timeout=20)
    assert process.returncode == 128 + number and said == "" and time.monotonic() - start < 10
    assert complaints == f"-c: error: {words}; the outputs are in s3://roads/results\n"
    assert moxing.contents() == {"results/a_last.ckpt": b"step 7"}


def test_a_rescue_that_fails_says_where_the_outputs_are(obs, tmp_path, quick):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.txt").write_text("x")
    made = Outputs(
        open_store(obs.environment),
        tmp_path / "out",
        "obs://no-such-bucket/x",
        True,
        [],
    )
    said = made.rescue()
    assert "a.txt: 404 NoSuchBucket" in said and said.endswith(
        f"; the outputs are in {tmp_path / 'out'}"
    )


def test_what_the_store_refuses_is_said_once(obs, tmp_path, monkeypatch, quick):
    said = []
    monkeypatch.setattr(module.LOG, "info", lambda text, *values: said.append(text % values))
    monkeypatch.setattr(module, "LOOK", 0.02)
    monkeypatch.setattr(module, "REST", 0.02)
    (tmp_path / "out").mkdir()
    watched = Outputs(
        open_store(obs.environment),
        tmp_path / "out",
        "obs://no-such-bucket/x",
        True,
        [],
    )
    (tmp_path / "out" / "a.txt").write_text("x")
    watched.start()
    wait_for(lambda: len(obs.requests) > 5, 10)
    watched.ended.set()
    watched.thread.join()
    assert len(said) == 1 and "a.txt: 404 NoSuchBucket" in said[0]
