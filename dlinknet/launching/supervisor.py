"""The processes of one training on this machine: started, watched and ended together."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from dlinknet.devices.environment import DONE
from dlinknet.errors import RunFailed
from dlinknet.launching import processes
from dlinknet.launching.log_folders import log_of_rank
from dlinknet.launching.processes import KILLED, LOOK, Child, Process

CRASHES = (KILLED + signal.SIGSEGV, KILLED + signal.SIGABRT)
LEFTOVER_SECONDS = 1.0  # in which the children of an ended process may end by themselves


def say(text: str, is_error: bool = False) -> None:
    """Print a line. A terminal that is closed or a full disk is no reason to end a training."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr if is_error else sys.stdout, flush=True)


class Supervisor:
    """Starts processes and watches them. When the block of `with` ends, none of them runs.

    When a process ends, its children become children of this process, which ends them too. So each
    process that is signalled here is a child that was not waited for yet, whose number cannot be
    another process's.

    Args:
        stop_seconds: between asking the processes to end and killing them.
        lock: a descriptor that they inherit; -1 for none.
        hint: is added to the message about a failure.
    """

    def __init__(self, stop_seconds: float, lock: int = -1, hint: str = ""):
        self.stop_seconds, self.lock, self.hint = stop_seconds, lock, hint
        self.ranks: list[Process] = []
        self.helpers: list[Process] = []  # they compute nothing: msrun, the scheduler
        self.adopts = processes.adopt_orphans()
        self.request = processes.StopRequest()
        signal.signal(signal.SIGTSTP, self._suspend)

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def start_rank(self, rank: int, command: list[str], environment: Mapping[str, str]) -> None:
        """Start a process that trains; its log is LOG[rank]/log.log."""
        self.ranks.append(
            self._start(f"rank {rank}", command, log_of_rank(rank), environment=environment)
        )

    def start_helper(
        self, name: str, command: list[str], log: Path, environment: Mapping[str, str]
    ) -> None:
        """Start a process that does not train."""
        self.helpers.append(self._start(name, command, log, environment=environment))

    def adopt_rank(self, rank: int, child: Child) -> None:
        """Watch a process that trains and that another process has started."""
        self.ranks.append(Process(f"rank {rank}", child, log_of_rank(rank)))

    def adopt_helper(self, name: str, child: Child, log: Path) -> None:
        """Watch a process that does not train and that another process has started."""
        self.helpers.append(Process(name, child, log))

    def _start(
        self, name: str, command: list[str], log: Path, *, environment: Mapping[str, str]
    ) -> Process:
        return processes.start(
            name,
            command,
            log,
            environment=environment,
            keep=() if self.lock < 0 else (self.lock,),
            own_group=True,  # this process gets a terminal's Ctrl-C, and asks the others to end
        )

    def _processes(self) -> list[Process]:
        return [*self.helpers, *self.ranks]

    def watch(self) -> None:
        """Return when all processes have ended well.

        Raises:
            RunFailed: at least one of them has failed.
            SystemExit: a signal asked this process to end.
        """
        running = self._processes()
        while running:
            failed = []
            for process in list(running):
                status = process.status()
                if status is None:
                    continue
                running.remove(process)
                if status and not self._is_harmless(process, status):
                    failed.append(f"{process.name} {process.ended_as(status)} (log: {process.log})")
            if failed:
                raise RunFailed(f"{'; '.join(failed)}; the others were stopped{self.hint}")
            if running:
                self.pause()

    def _is_harmless(self, process: Process, status: int) -> bool:
        """Return whether a failure came after the training, and say so.

        MindSpore 2.10 sometimes crashes when it closes the connections between processes. A crash
        in the training has the same exit status, so the log decides.
        """
        if process in self.ranks:
            harmless = status in CRASHES and process.has_line(f" {DONE}")
        else:
            harmless = bool(self.ranks) and all(rank.has_line(f" {DONE}") for rank in self.ranks)
        if harmless:
            say(f"{process.name} crashed while MindSpore shut down, after its training was done")
        return harmless

    def pause(self) -> None:
        """Sleep for a moment.

        Raises:
            SystemExit: a signal asks this process to end.
        """
        time.sleep(LOOK)
        if self.request.take():
            number = self.request.number
            self.end()
            logs = f" (log: {self.ranks[0].log})" if self.ranks else ""
            say(f"stopped{logs}", is_error=True)
            raise SystemExit(KILLED + number)

    def _suspend(self, *_: object) -> None:
        """Suspend the ranks and this process, as Ctrl-Z asks, until SIGCONT comes."""
        for process in self._processes():
            process.child.send_signal(signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)
        for process in self._processes():
            process.child.send_signal(signal.SIGCONT)

    def end(self) -> None:
        """End the processes that still run, and the children that ended ones have left."""
        known = self._processes()
        for process in known:
            process.child.send_signal(signal.SIGTERM)
        end = time.monotonic() + self.stop_seconds
        while any(process.status() is None for process in known) and time.monotonic() < end:
            time.sleep(LOOK)
        for process in known:
            process.child.send_signal(signal.SIGKILL)
        self._end_leftovers()

    def _end_leftovers(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            told: set[int] = set()
            end = time.monotonic() + LEFTOVER_SECONDS
            while (left := set(processes.children())) and time.monotonic() < end:
                for pid in left - told:  # a child that ends may leave children again
                    os.kill(pid, number)
                told |= left
                time.sleep(LOOK)
