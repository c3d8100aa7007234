"""Processes of other programs: how they are started, how they ended, and signals for them."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dlinknet.files.shipped import PACKAGE

ROOT = PACKAGE.parent  # the folder of the checkout, which holds train.py and the others
LOOK = 0.1  # seconds between two looks at processes
KILLED = 128  # 128 + a signal's number is the status of a process that the signal killed
# Options of Linux's prctl().
DEATH_SIGNAL, SUBREAPER = 1, 36  # PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER


class Child(Protocol):
    """A child of this process: a subprocess.Popen or an Adopted.

    poll() notes the end. Until then the child's number cannot become another process's, and
    send_signal() does nothing after it: a signal reaches the child or nobody.
    """

    pid: int

    def poll(self) -> int | None:
        """Return the exit status, or minus the number of the signal; None while it runs."""

    def send_signal(self, number: int) -> None:
        """Send a signal unless the end was noted."""


class Adopted:
    """A child that was started by a process that has ended (see adopt_orphans)."""

    def __init__(self, pid: int):
        self.pid = pid
        self._status: int | None = None

    def poll(self) -> int | None:
        """Return the exit status, or minus the number of the signal; None while it runs."""
        if self._status is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status

    def send_signal(self, number: int) -> None:
        """Send a signal unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


@dataclass
class Process:
    """A child and its log.

    name: its name in messages. began: the size of the log when the process was started, in bytes.
    """

    name: str
    child: Child
    log: Path
    began: int = 0

    def status(self) -> int | None:
        """Return the exit status as a shell gives it; None while the process runs."""
        code = self.child.poll()
        return None if code is None else shell_status(code)

    def ended_as(self, status: int) -> str:
        """Say how the process ended: the status, and the line of the error in the log."""
        last = error = ""
        for line in self._lines():
            last = line
            if ": error: " in line:
                error = line
        # A training that receives such a signal writes its last line and ends by itself.
        told = ": error: ended by SIG" in error or ": error: interrupted (SIG" in error
        if status > KILLED and not told:
            return f"was killed by signal {status - KILLED}"
        return f"failed with status {status}: {error or last}"

    def last_line(self) -> str:
        """Return the last line of the log; empty if there is none."""
        last = ""
        for line in self._lines():
            last = line
        return last

    def has_line(self, end: str) -> bool:
        """Return whether a line of the log ends with these words."""
        return any(line.endswith(end) for line in self._lines())

    def _lines(self) -> Iterator[str]:
        """Yield the lines that the process has written, without empty ones."""
        try:
            with open(self.log, "rb") as log:
                log.seek(self.began)
                yield from (line.decode(errors="replace").rstrip() for line in log if line.strip())
        except OSError:  # no log: no lines
            pass


def shell_status(code: int) -> int:
    """Return an exit status as a shell gives it: 128 + the number of the signal that killed."""
    return code if code >= 0 else KILLED - code


class StopRequest:
    """Catches the signals that ask this process to end, except those that are ignored (nohup)."""

    def __init__(self) -> None:
        self.number = 0  # of the latest signal; 0: none has come
        self._is_new = False
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._note)

    def _note(self, number: int, _: object) -> None:
        self.number, self._is_new = number, True

    def take(self) -> bool:
        """Return whether a signal has come since the last call."""
        is_new, self._is_new = self._is_new, False
        return is_new


def python_command(program: str) -> list[str]:
    """Return the command that runs a program of the project's folder with this Python."""
    return [sys.executable, str(ROOT / program)]


def start(
    name: str,
    command: list[str],
    log: Path,
    *,
    environment: Mapping[str, str] | None = None,
    keep: tuple[int, ...] = (),
    in_background: bool = False,
    own_group: bool = False,
) -> Process:
    """Start a program that writes to a log and reads nothing.

    Unless it runs in the background, it gets SIGTERM when this process ends (see end_with_parent).

    Args:
        environment: variables beside those of this process.
        keep: descriptors that the program inherits.
        in_background: the program outlives this process and the terminal: it has its own session
            and ignores SIGHUP.
        own_group: the program has its own process group. A terminal sends Ctrl-C to one group;
            SIGINT for the program alone still ends it.
    """
    parent = os.getpid()

    def prepare() -> None:
        if in_background:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        else:
            end_with_parent(parent)
        if own_group:
            os.setpgid(0, 0)

    with open(log, "ab") as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            pass_fds=keep,
            start_new_session=in_background,
            preexec_fn=prepare,
        )
        return Process(name, child, log, output.tell())


def wait_for(child: Child, request: StopRequest) -> int:
    """Wait for a process to end, and return its status as a shell gives it.

    Each signal that asks this process to end becomes a SIGTERM for the child; the status is then
    128 + the number of the signal.
    """
    while (code := child.poll()) is None:
        if request.take():
            child.send_signal(signal.SIGTERM)
        time.sleep(LOOK)
    return KILLED + request.number if request.number else shell_status(code)


def go_to_background(log: Path) -> int:
    """Fork: return the child's number in this process, and 0 in the child.

    The child writes to `log`. It outlives the terminal: it has its own session and ignores SIGHUP.
    This process returns when the child is ready.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    reader, writer = os.pipe()
    with open(log, "ab") as output, open(os.devnull, "rb") as nothing:
        pid = os.fork()
        if not pid:
            os.setsid()
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            for file, number in ((nothing, 0), (output, 1), (output, 2)):
                os.dup2(file.fileno(), number)
    os.close(writer)
    if pid:
        os.read(reader, 1)  # nothing: the child has closed its end
    os.close(reader)
    return pid


def adopt_orphans() -> bool:
    """Become the parent of processes whose parent ends; return whether the system supports this.

    Otherwise an orphan becomes a child of process 1, and this process cannot watch it.
    """
    return _prctl(SUBREAPER, 1)


def end_with_parent(parent: int) -> None:
    """Have Linux send SIGTERM to this process when its parent ends, also if SIGKILL ends that.

    Args:
        parent: the process that has to be the parent. This process exits if it has ended already.
    """
    _prctl(DEATH_SIGNAL, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(KILLED + signal.SIGTERM)


def _prctl(option: int, value: int) -> bool:
    """Return whether Linux accepts a setting of this process; False on other systems."""
    try:
        return bool(ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0)
    except (AttributeError, OSError):
        return False


def children(zombies: bool = False) -> list[int]:
    """Return the numbers of this process's children.

    Args:
        zombies: also those that have ended and were not waited for.
    """
    mine, found = str(os.getpid()), []
    try:
        numbers = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:  # not Linux
        return []
    for number in numbers:
        try:
            with open(f"/proc/{number}/stat", encoding="utf-8", errors="replace") as file:
                # NUMBER (NAME) STATE PARENT ...: a name may hold blanks and brackets.
                state, parent = file.read().rpartition(")")[2].split()[:2]
        except (OSError, ValueError):
            continue  # it has just ended
        if parent == mine and (zombies or state != "Z"):
            found.append(number)
    return sorted(found)
