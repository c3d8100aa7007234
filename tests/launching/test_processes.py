"""Real child processes: their start, their end, and the signals for them."""

import os
import signal
import subprocess
import sys
import time

import pytest

from dlinknet.launching import processes
from dlinknet.launching.processes import Adopted, Process
from tests.conftest import ROOT, wait_for


def python(code):
    return [sys.executable, "-c", code]


def ended(process):
    wait_for(lambda: process.status() is not None)
    return process.status()


@pytest.mark.parametrize(
    "code, status, words",
    [
        ("pass", 0, "failed with status 0: before"),
        ("raise SystemExit(3)", 3, "failed with status 3: before"),
        (
            "print('x.py: error: no\\nmore'); raise SystemExit(2)",
            2,
            "failed with status 2: x.py: error: no",
        ),
        ("import os; os.kill(os.getpid(), 9)", 137, "was killed by signal 9"),
        (
            "import os; print('x.py: error: ended by SIGTERM; y', flush=True); os._exit(143)",
            143,
            "failed with status 143: x.py: error: ended by SIGTERM; y",
        ),
    ],
)
def test_how_a_process_ended(tmp_path, code, status, words):
    log = tmp_path / "log"
    log.write_text("x.py: error: of an earlier start\n")
    process = processes.start("it", python(f"print('before')\n{code}"), log)
    assert ended(process) == status and process.ended_as(status) == words


def test_a_process_that_was_waited_for_gets_no_signal(tmp_path, monkeypatch):
    """Its number may belong to another process."""
    process = processes.start("it", python("pass"), tmp_path / "log")
    adopted = Adopted(subprocess.Popen(python("pass")).pid)
    sent = []
    assert ended(process) == 0 and ended(Process("other", adopted, tmp_path)) == 0
    monkeypatch.setattr(os, "kill", lambda *words: sent.append(words))
    process.child.send_signal(signal.SIGKILL)
    adopted.send_signal(signal.SIGKILL)
    assert not sent


def test_a_program_in_the_background_has_a_session_and_ignores_sighup(tmp_path):
    code = """
import os, signal
print(os.getsid(0) == os.getpid(), signal.getsignal(signal.SIGHUP) == signal.SIG_IGN)
"""
    log = tmp_path / "log"
    assert ended(processes.start("it", python(code), log, in_background=True)) == 0
    assert log.read_text() == "True True\n"


def test_a_program_can_be_a_process_group_of_its_own(tmp_path):
    code = "import os; print(os.getpgid(0) == os.getpid(), os.getsid(0) == os.getpid())"
    log = tmp_path / "log"
    assert ended(processes.start("it", python(code), log, own_group=True)) == 0
    assert ended(processes.start("it", python(code), log)) == 0
    assert log.read_text() == "True False\nFalse False\n"


def test_go_to_background_returns_in_both(tmp_path):
    log = tmp_path / "log"
    code = f"""
import os, signal, sys
from pathlib import Path
from dlinknet.launching.processes import go_to_background
pid = go_to_background(Path({str(log)!r}))
if pid:
    print(pid)
else:
    ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    print(os.getpid(), os.getsid(0) == os.getpid(), ignored, repr(sys.stdin.read()))
    print("an error", file=sys.stderr)
"""
    said = subprocess.run(python(code), capture_output=True, text=True, cwd=ROOT, timeout=20)
    assert said.stderr == "" and said.returncode == 0
    wait_for(lambda: "an error\n" in log.read_text())
    assert f"{said.stdout.strip()} True True ''\n" in log.read_text()


def test_signals_become_sigterm_for_the_process_that_is_waited_for(tmp_path):
    log = tmp_path / "log"
    code = f"""
import sys
from pathlib import Path
from dlinknet.launching.processes import StopRequest, start, wait_for
request = StopRequest()
child = start("it", [sys.executable, "-c", {TELLS!r}], Path({str(log)!r})).child
sys.exit(wait_for(child, request))
"""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        log.write_text("")
        process = subprocess.Popen(python(code), cwd=ROOT, preexec_fn=default_signals)
        wait_for(lambda: "ready" in log.read_text())
        process.send_signal(number)
        assert process.wait(timeout=20) == 128 + number
        assert log.read_text() == "ready\n15\n"


TELLS = """
import os, signal, time
def tell(number, _):
    print(number, flush=True)
    os._exit(7)
for number in (1, 2, 15):
    signal.signal(number, tell)
print("ready", flush=True)
time.sleep(50)
"""


def default_signals():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def test_a_signal_that_is_ignored_at_the_start_stays_ignored():
    code = """
import os, signal
from dlinknet.launching.processes import StopRequest
signal.signal(signal.SIGHUP, signal.SIG_IGN)
request = StopRequest()
os.kill(os.getpid(), signal.SIGHUP)
print(request.take(), request.number)
os.kill(os.getpid(), signal.SIGTERM)
print(request.take(), request.take(), request.number)
"""
    said = subprocess.run(python(code), capture_output=True, text=True, cwd=ROOT, timeout=20)
    assert said.stdout == "False 0\nTrue False 15\n", said.stderr


def test_orphans_become_children():
    code = '''
import subprocess, sys, time
from dlinknet.launching import processes
assert processes.adopt_orphans()
parent = """
import subprocess, sys
code = "import time; time.sleep(0.5); raise SystemExit(6)"
print(subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL).pid)
"""
said = subprocess.run([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True).stdout
orphan = int(said)
assert processes.children() == [orphan], processes.children()
adopted = processes.Adopted(orphan)
while adopted.poll() is None:
    assert processes.children(zombies=True) == [orphan]
    time.sleep(0.05)
assert processes.children(zombies=True) == []
print(adopted.poll())
'''
    said = subprocess.run(python(code), capture_output=True, text=True, cwd=ROOT, timeout=20)
    assert said.stdout == "6\n", said.stderr


def test_a_process_inherits_only_what_it_should(tmp_path):
    reader, writer = os.pipe()
    os.set_inheritable(reader, True)
    log = tmp_path / "log"
    code = "import os; print(sorted(map(int, os.listdir('/proc/self/fd'))))"
    try:
        process = processes.start("it", python(code), log, keep=(writer,), environment={"A": "b"})
        assert ended(process) == 0
        found = eval(log.read_text())
        assert writer in found and reader not in found
    finally:
        os.close(reader)
        os.close(writer)


def test_the_scripts_start_fast():
    """Their part in Python imports only the standard library and the ground floor."""
    code = """
import sys
import dlinknet.launching.launch_scripts
slow = {"numpy", "cv2", "mindspore", "tqdm", "yaml", "PIL"}
print(*slow & sys.modules.keys())
"""
    started = time.monotonic()
    said = subprocess.run(python(code), capture_output=True, text=True, cwd=ROOT, timeout=20)
    assert said.stdout == "\n", said.stderr
    assert time.monotonic() - started < 10
