"""Disturbances of a training: their signals, their moments, and the ends that they may cause."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from tests.campaigns.runs import NAME, Run, Way

SIGNALS = {
    "KILL": (signal.SIGKILL,),
    "TERM": (signal.SIGTERM,),
    "INT": (signal.SIGINT,),
    "TERM twice": (signal.SIGTERM,) * 2,
    "INT twice": (signal.SIGINT,) * 2,
}
DRAWN = ("KILL",) * 10 + ("TERM",) * 4 + ("INT",) * 4 + ("TERM twice", "INT twice", "STOP", "STOP")
START = 0.5  # of an undisturbed run's time is over, about, before its first step
LONGEST = 300.0  # seconds for an undisturbed training
COMPILES = "the first step compiles"  # a training logs it when it has its files
STRAY = ("Traceback", "Fatal Python error", "core dumped", "Segmentation")


@dataclass
class Reference:
    """An undisturbed run: its duration, its changes of files, the contents of its checkpoints."""

    seconds: float
    events: list[str]
    contents: dict[str, Any]


@dataclass
class Plan:
    """One disturbance.

    signals: a key of SIGNALS, or STOP. target: 'all' processes, the 'command' that was started, or
    one 'training' process. at: the number of the event at which to strike; 0 strikes at a moment.
    moment: seconds from the start of the training or of the event. pause: seconds between two
    signals. sent_at: the time of the signal. over: whether the training had ended by then.
    """

    signals: str
    target: str
    at: int
    moment: float
    pause: float
    choice: float
    sent_at: float = 0.0
    over: bool = False

    @property
    def environment(self) -> dict[str, str]:
        """The variables that sitecustomize.py reads in the training."""
        if not self.at:
            return {}
        own = self.signals == "KILL" and self.target == "training"
        return {"AIM_AT": str(self.at), **({"AIM_SECONDS": f"{self.moment:.4f}"} if own else {})}

    @property
    def gentle(self) -> bool:
        """Whether the signal asks the training to end, and does not kill it."""
        return self.signals not in ("KILL", "STOP")

    def __str__(self) -> str:
        when = f"at event {self.at}" if self.at else f"after {self.moment:.1f} s"
        return f"{self.signals} to {self.target} {when}"

    def strike(self, run: Run, listed: Path) -> bool:
        """Send the signals at their time; return whether the training was still running."""
        if self.at and "AIM_SECONDS" in self.environment:
            run.wait(LONGEST)
            self.sent_at = run.seconds
            return _count(listed) >= self.at
        if self.at:
            while _count(listed) < self.at and run.process.poll() is None:
                time.sleep(0.01)
        elif run.wait(self.moment) is not None:
            return False
        if run.process.poll() is not None:
            return False
        self.sent_at, self.over = run.seconds, is_over(run.log())
        pids = self._pids(run)
        if self.signals == "STOP":
            run.send(signal.SIGSTOP, pids)
            time.sleep(self.pause)
            run.send(signal.SIGCONT, pids)
            return True
        for number, each in enumerate(SIGNALS[self.signals]):
            if number:
                time.sleep(self.pause)
            run.send(each, pids)
        return True

    def _pids(self, run: Run) -> list[int]:
        trainings = run.trainings()
        if self.target == "all":
            return list({*run.members(), run.process.pid})
        if self.target == "training" and trainings:
            return [sorted(trainings)[int(self.choice * len(trainings))]]
        return [run.process.pid]


def _count(listed: Path) -> int:
    return listed.read_bytes().count(b"\n") if listed.exists() else 0


def draw(rng: Random, way: Way, whole: Reference, left: float = 1.0) -> Plan:
    """Draw a disturbance: half of them strike at a moment, the others at a change of a file.

    Args:
        left: the part of the training that is left, 0 to 1.
    """
    signals = rng.choice(DRAWN)
    target = rng.choice(("command", "command", "all", "training")) if way.script else "training"
    at = rng.randint(1, max(8, int(len(whole.events) * left))) if rng.random() < 0.5 else 0
    moment = (
        rng.choice((0.0, 0.0, rng.uniform(0.0005, 0.1)))
        if at
        else rng.uniform(0, whole.seconds * (START + (1.1 - START) * left))
    )
    if at and signals == "KILL":
        target = "training"
    return Plan(signals, target, at, moment, rng.uniform(0.02, 1.5), rng.random())


def statuses(way: Way, plan: Plan) -> tuple[int, ...]:
    """Return the exit statuses that a disturbance may cause."""
    if plan.signals == "STOP":
        return (0,)
    number = {"K": signal.SIGKILL, "T": signal.SIGTERM, "I": signal.SIGINT}[plan.signals[0]]
    reported = way.name == "two processes" and plan.target == "training"  # the script says 1
    if number == signal.SIGKILL and not (way.script and plan.target == "training"):
        expected: tuple[int, ...] = (-number,)
    elif number == signal.SIGKILL:
        expected = (1,) if reported else (128 + number,)
    else:
        expected = (1, 128 + number) if reported else (128 + number,)
    # After its last line a training has restored the default signal handlers.
    return (*expected, 0, -number) if plan.over else expected


def is_over(log: str) -> bool:
    """Return whether a training has come to its end, according to its log."""
    return "training is done" in log or "nothing is left to train" in log


def judge(way: Way, plan: Plan | None, status: int | None, lines: list[str], log: str) -> list[str]:
    """Return the faults of a training's end: its status, its lines on stderr, tracebacks.

    Args:
        plan: None if the training was not disturbed.
    """
    wrong = [f"{word} in what was printed" for word in STRAY if word in log + "\n".join(lines)]
    if status == 0 and is_over(log):
        return wrong + (
            [f"status 0 with {len(lines)} lines on stderr: {lines[0][:100]}"] if lines else []
        )
    expected = statuses(way, plan) if plan else (0,)
    # A process that watches kills a command in which MindSpore keeps the interpreter's lock.
    late = status == -signal.SIGKILL and bool(lines) and "did not come back in time" in lines[-1]
    if status not in expected and not (late and plan is not None):
        wrong.append(f"status {status}, not {' or '.join(map(str, expected))}")
    # That process prints a line for a killed command, unless it was killed with the command.
    counts = (0,) if plan is None else (0, 1) if status is None or status < 0 else (1,)
    if len(lines) not in counts:
        wrong.append(
            f"{len(lines)} lines on stderr, not {counts[-1]}"
            + (f": {lines[0][:100]}" if lines else "")
        )
    elif plan and plan.gentle and not way.script and COMPILES in log and not names_newest(lines):
        wrong.append(f"the line does not name what --resume goes on from: {lines[0][:100]}")
    return wrong


def names_newest(lines: list[str]) -> bool:
    """Return whether the last line names the newest checkpoint, or says that there is none."""
    return not lines or f"{NAME}_last.ckpt" in lines[0] or "no checkpoint" in lines[0]
