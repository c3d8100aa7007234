"""The supervisor with small real processes. It has its own process: it ends all children."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from dlinknet.devices.environment import DONE
from tests.conftest import ROOT, wait_for

START = """
import os, sys
from pathlib import Path
from dlinknet.launching.supervisor import Supervisor
from dlinknet.errors import run_command
sys.argv = ["script.sh"]
def rank(code):
    return [sys.executable, "-c", "import os, signal, subprocess, sys, time\\n" + code]
def main(_):
    with Supervisor({seconds}, hint="; a hint") as supervisor:
{body}
        supervisor.watch()
    print("all are done", flush=True)
run_command(main)
"""


@pytest.fixture
def supervise(tmp_path):
    """Yield supervise(*codes), which starts a process that supervises ranks with these codes."""
    started = []

    def start(*codes, scheduler="", seconds=5):
        lines = []
        if scheduler:
            words = f'"the scheduler", rank({scheduler!r}), Path("scheduler.log"), {{}}'
            lines.append(f"supervisor.start_helper({words})")
        for number, code in enumerate(codes):
            (tmp_path / f"LOG{number}").mkdir(exist_ok=True)
            lines.append(
                f'supervisor.start_rank({number}, rank({code!r}), {{"RANK_ID": "{number}"}})'
            )
        code = START.format(seconds=seconds, body=textwrap.indent("\n".join(lines), " " * 8))
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "PWD": str(tmp_path),
                "MARK": str(tmp_path),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=default_signals,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def default_signals():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def left(tmp_path):
    """Return the processes that run in a test."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                found += [int(name)] * (f"MARK={tmp_path}".encode() in file.read().split(b"\0"))
        except OSError:
            continue
    return found


def result(process):
    out, err = process.communicate(timeout=40)
    return process.returncode, out, err


def log(tmp_path, rank):
    file = tmp_path / f"LOG{rank}" / "log.log"
    return file.read_text() if file.exists() else ""


def test_all_end_well(supervise, tmp_path):
    process = supervise(
        "print(os.environ['RANK_ID'], sys.stdin.read())", "time.sleep(0.5)", scheduler="print(1)"
    )
    assert result(process) == (0, "all are done\n", "")
    assert log(tmp_path, 0) == "0 \n" and (tmp_path / "scheduler.log").read_text() == "1\n"


def test_the_first_that_fails_ends_the_others(supervise, tmp_path):
    start = time.monotonic()
    process = supervise(
        "time.sleep(50)", "print('t.py: error: no'); sys.exit(4)", scheduler="time.sleep(50)"
    )
    told = (
        "script.sh: error: rank 1 failed with status 4: t.py: error: no "
        f"(log: {tmp_path}/LOG1/log.log); the others were stopped; a hint\n"
    )
    assert result(process) == (1, "", told)
    assert time.monotonic() - start < 20 and not left(tmp_path)


def test_a_killed_rank_ends_the_others(supervise, tmp_path):
    process = supervise(
        "print('ready', flush=True); time.sleep(50)",
        "print(os.getpid(), flush=True); time.sleep(50)",
    )
    wait_for(lambda: log(tmp_path, 1))
    os.kill(int(log(tmp_path, 1)), signal.SIGKILL)
    status, _, err = result(process)
    assert status == 1 and "rank 1 was killed by signal 9 (log: " in err, err
    assert not left(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_all(supervise, tmp_path, number):
    """A terminal sends SIGINT to the whole group of the script: the ranks are not in it."""
    # print() in a handler fails if the signal comes within another print().
    tells = (
        "signal.signal(2, lambda *_: os.write(1, b'interrupted\\n'))\n"
        "signal.signal(15, lambda *_: (os.write(1, b'asked\\n'), sys.exit(0)))\n"
        "os.write(1, b'ready\\n'); time.sleep(50)"
    )
    process = supervise(tells, tells)
    wait_for(lambda: all(log(tmp_path, rank) for rank in (0, 1)))
    os.killpg(process.pid, number)
    told = f"stopped (log: {tmp_path}/LOG0/log.log)\n"
    assert result(process) == (128 + number, "", told)
    assert log(tmp_path, 0) == log(tmp_path, 1) == "ready\nasked\n" and not left(tmp_path)


def test_a_rank_that_does_not_end_is_killed_and_its_children_too(supervise, tmp_path):
    """So is a child in its own session, and a child whose parent has ended."""
    deaf = "[signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)]; print(1, flush=True)"
    child = f"[sys.executable, '-c', 'import signal, time; {deaf}; time.sleep(50)']"
    process = supervise(
        f"{deaf}; subprocess.Popen({child}, start_new_session=True); time.sleep(50)",
        f"subprocess.Popen({child}); time.sleep(1)",
        seconds=0.5,
    )
    wait_for(lambda: len(left(tmp_path)) >= 5)
    wait_for(lambda: log(tmp_path, 0) == "1\n1\n" and log(tmp_path, 1) == "1\n")
    process.send_signal(signal.SIGTERM)
    assert result(process)[0] == 143 and not left(tmp_path)


def state_of(pid):
    """Return the letter of a process's state: T if it is suspended."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_terminals_ctrl_z_suspends_all(supervise, tmp_path):
    process = supervise("print(os.getpid(), flush=True); time.sleep(1); print('done')")
    wait_for(lambda: log(tmp_path, 0))
    pids = [process.pid, int(log(tmp_path, 0))]
    os.killpg(process.pid, signal.SIGTSTP)
    wait_for(lambda: [state_of(pid) for pid in pids] == ["T", "T"])
    os.killpg(process.pid, signal.SIGCONT)
    assert result(process) == (0, "all are done\n", "")
    assert log(tmp_path, 0).endswith("done\n")


def test_a_killed_supervisor_leaves_no_rank(supervise, tmp_path):
    sleeps = "print('ready', flush=True); time.sleep(50)"
    process = supervise(sleeps, sleeps)
    wait_for(lambda: all(log(tmp_path, rank) for rank in (0, 1)))
    process.kill()
    wait_for(lambda: not left(tmp_path))


def test_what_a_rank_leaves_behind_is_ended(supervise, tmp_path):
    child = "[sys.executable, '-c', 'import time; time.sleep(50)']"
    process = supervise(f"subprocess.Popen({child}, start_new_session=True)")
    assert result(process) == (0, "all are done\n", "") and not left(tmp_path)


@pytest.mark.parametrize(
    "done, number, harmless",
    [(True, "SEGV", True), (True, "ABRT", True), (True, "KILL", False), (False, "SEGV", False)],
)
def test_a_crash_after_the_training_is_no_failure(supervise, tmp_path, done, number, harmless):
    says = f"print('2026-11-21 08:09:29 {DONE}', flush=True); " if done else ""
    process = supervise("pass", f"{says}os.kill(os.getpid(), signal.SIG{number})")
    status, out, err = result(process)
    assert (status == 0) is harmless, out + err
    assert ("rank 1 crashed while MindSpore shut down" in out) is harmless
    assert ("rank 1 was killed by signal" in err) is not harmless


def test_a_training_done_before_does_not_excuse_a_crash(supervise, tmp_path):
    (tmp_path / "LOG0").mkdir()
    (tmp_path / "LOG0" / "log.log").write_text(f"2026-11-21 08:09:29 {DONE}\n")
    assert result(supervise("os.kill(os.getpid(), signal.SIGSEGV)"))[0] == 1


def test_the_scheduler_counts_as_long_as_a_rank_trains(supervise, tmp_path):
    fails = "time.sleep(1); sys.exit(9)"
    done = f"print('2026-11-21 08:09:29 {DONE}', flush=True); time.sleep(2)"
    assert result(supervise(done, done, scheduler=fails))[0] == 0
    (tmp_path / "LOG1" / "log.log").unlink()
    status, _, err = result(supervise(done, "time.sleep(2)", scheduler=fails))
    assert status == 1 and "the scheduler failed with status 9" in err, err


def test_a_closed_terminal_ends_no_training(supervise, tmp_path):
    """The line about the crash cannot be printed."""
    done = f"print('2026-11-21 08:09:29 {DONE}', flush=True); os.kill(os.getpid(), signal.SIGSEGV)"
    process = supervise(f"time.sleep(1); {done}", "time.sleep(2); print('to the end')")
    process.stdout.close()
    process.wait(timeout=20)
    assert log(tmp_path, 1) == "to the end\n"
