"""What the places need: commands in mounts of their own, and rows of a table that say what became
of them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from tests.campaigns.plans import STRAY
from tests.campaigns.runs import NAME, WAYS, prepare
from tests.conftest import ROOT

PYTHON = sys.executable
TRAIN = [PYTHON, str(ROOT / "train.py"), "--config_path=settings.yaml", "--data_path=data/train"]
SCRIPT = [
    "bash",
    str(ROOT / "scripts" / "run_distribute_cpu_train.sh"),
    "data/train",
    "settings.yaml",
    "2",
    "--wait",
]
SECONDS = 240
STAY = 10  # seconds for the other processes of a command that has ended


class NotHere(Exception):
    """What this machine does not allow. The text says why."""


@dataclass
class Ended:
    """What became of a command: its status (negative: a signal), its lines on stderr, all else that
    it printed, the seconds that it took, whether it was still running when its time was over,
    how many of its processes stayed when it had ended."""

    status: int
    lines: list[str]
    log: str
    seconds: float
    hung: bool
    stayed: int


@dataclass
class Row:
    """One place for the table. wrong: what is not as it should be."""

    place: str
    done: str
    status: str = ""
    line: str = ""
    lost: str = "nothing"
    wrong: list[str] = field(default_factory=list)


class Stage:
    """A fresh folder for each place, with images, settings and the run of one epoch that all of
    them share."""

    def __init__(self, folder: Path):
        self.folder, self.count = folder, 0
        self.trained = folder / "trained"
        if not (self.trained / "out" / f"{NAME}_best.ckpt").exists():
            shutil.rmtree(self.trained, ignore_errors=True)
            prepare(WAYS["script"], self.trained)
            ended = run(
                [*TRAIN, "--val_path=data/valid", "--output_path=out", "--epoch_num=1"],
                self.trained,
            )
            if ended.status:
                raise SystemExit(f"the first training failed: {ended.lines or ended.log[-500:]}")

    def fresh(self, trained: bool = False) -> Path:
        """Return a new working folder; with `trained` the run of one epoch lies in its `out`."""
        self.count += 1
        place = self.folder / f"place{self.count}"
        shutil.rmtree(place, ignore_errors=True)
        prepare(WAYS["script"], place)
        if trained:
            shutil.copytree(self.trained / "out", place / "out")
        return place


def run(
    command: list[str],
    cwd: Path,
    setup: str = "",
    environment: dict[str, str] | None = None,
    seconds: float = SECONDS,
    while_running: Callable[[subprocess.Popen], None] = lambda process: None,
    wrapper: tuple[str, ...] = (),
) -> Ended:
    """Run a command in a session of its own, and kill what is left when its time is over.

    Args:
        setup: a shell's commands before it, as mounts, in a mount namespace of its own.
        while_running: is called when it has been started.
        wrapper: what starts it, as setpriv with its options.
    """
    if setup:
        command = [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-ec",
            f'{setup}\nexec "$@"',
            "sh",
            *wrapper,
            *command,
        ]
    else:
        command = [*wrapper, *command]
    variables = {
        **os.environ,
        "PYTHONUNBUFFERED": "1",
        "PATH": f"{Path(PYTHON).parent}{os.pathsep}{os.environ['PATH']}",
        **(environment or {}),
    }
    variables["DLINKNET_PLACE"] = uuid.uuid4().hex
    mark = f"DLINKNET_PLACE={variables['DLINKNET_PLACE']}"
    start, hung = time.monotonic(), False
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=errors,
            start_new_session=True,
        )
        try:
            while_running(process)
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            hung = True
        finally:
            stayed = _kill_all(mark, 0 if hung or process.poll() is None else STAY)
        status = process.wait()
        texts = []
        for file in (said, errors):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
    return Ended(
        status,
        [line for line in texts[1].splitlines() if line.strip()],
        texts[0],
        time.monotonic() - start,
        hung,
        stayed,
    )


def _marked(mark: str) -> list[int]:
    """Return the processes whose environment holds `mark`: msrun's have sessions of their own."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            if mark.encode() in Path(f"/proc/{entry}/environ").read_bytes():
                found.append(int(entry))
        except OSError:  # it has just ended
            continue
    return found


def _kill_all(mark: str, patience: float) -> int:
    """Wait so long for the processes with `mark` to end, then kill them; return how many."""
    end = time.monotonic() + patience
    while (left := _marked(mark)) and time.monotonic() < end:
        time.sleep(0.1)
    for process in left:
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return len(left)


def judged(
    place: str,
    done: str,
    ended: Ended,
    expected: int | tuple[int, ...],
    lost: str = "nothing",
    words: tuple[str, ...] = (),
) -> Row:
    """Return the row of a command: its status has to be one of `expected`, its line one that holds
    `words`."""
    expected = expected if isinstance(expected, tuple) else (expected,)
    row = Row(place, done, str(ended.status), ended.lines[-1] if ended.lines else "", lost)
    if ended.status not in expected:
        row.wrong.append(f"status {ended.status}, not {' or '.join(map(str, expected))}")
    count = int(ended.status > 0)
    # A process that watches may say a line of a command that was killed.
    if len(ended.lines) != count and not (ended.status < 0 and len(ended.lines) == 1):
        row.wrong.append(f"{len(ended.lines)} lines on stderr, not {count}")
    row.wrong += [
        f"{word} in what was printed"
        for word in STRAY
        if word in ended.log + "\n".join(ended.lines)
    ]
    row.wrong += [
        f"the line does not say '{word}'"
        for word in words
        if ended.status > 0 and word not in row.line
    ]
    if ended.stayed and not ended.hung:
        row.wrong.append(f"{ended.stayed} processes stayed")
    if ended.hung:
        row.wrong = [f"it did not end in {ended.seconds:.0f} s"]
    if lost != "nothing":
        row.wrong.append(f"lost: {lost}")
    return row


def lost_of(out: Path, wanted: tuple[str, ...] = ("last.ckpt",)) -> str:
    """Return which of a run's files are missing or not whole."""
    from dlinknet.checkpoints.read import read_checkpoint
    from dlinknet.errors import RunFailed, UserError

    lost = []
    for ending in wanted:
        try:
            read_checkpoint(str(out / f"{NAME}_{ending}"))
        except (UserError, RunFailed) as error:
            lost.append(str(error))
    lost += [f"{file.name} was left over" for file in out.glob(".*.[0-9]*")]
    return "; ".join(lost) or "nothing"


def mounted(kind: str, where: str, options: str) -> str:
    return f"mkdir -p {where}; mount -t {kind} -o {options} none {where}"
