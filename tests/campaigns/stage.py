"""Tools for the campaign of places: commands in their own mounts, and rows of the table."""

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
    """This machine does not allow the environment. The text gives the reason."""


@dataclass
class Ended:
    """The outcome of a command.

    It holds the status (negative: a signal), the lines on stderr, all other output, the seconds,
    whether the command was still running when its time was over, and the number of its processes
    that remained after its end.
    """

    status: int
    lines: list[str]
    log: str
    seconds: float
    hung: bool
    stayed: int


@dataclass
class Row:
    """One row of the table. wrong: the faults."""

    place: str
    done: str
    status: str = ""
    line: str = ""
    lost: str = "nothing"
    wrong: list[str] = field(default_factory=list)


class Stage:
    """Makes a new folder for each place, with images, settings and a run of one epoch.

    All places share this run.
    """

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
        """Return a new folder. If `trained`, its folder `out` holds the run of one epoch."""
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
    """Run a command in its own session, and kill its processes when its time is over.

    Args:
        setup: shell commands that run before it in its own mount namespace, for example mounts.
        while_running: is called when the command has been started.
        wrapper: a program that starts the command, for example setpriv with its options.
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
    """Return the processes whose environment holds `mark`. Those of msrun have other sessions."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            if mark.encode() in Path(f"/proc/{entry}/environ").read_bytes():
                found.append(int(entry))
        except OSError:  # it has just ended
            continue
    return found


def _kill_all(mark: str, patience: float) -> int:
    """Wait at most `patience` seconds for the processes with `mark` to end, then kill them.

    Return how many were killed.
    """
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
    """Return the row of a command.

    Its status must be one of `expected`, and its line must contain `words`.
    """
    expected = expected if isinstance(expected, tuple) else (expected,)
    row = Row(place, done, str(ended.status), ended.lines[-1] if ended.lines else "", lost)
    if ended.status not in expected:
        row.wrong.append(f"status {ended.status}, not {' or '.join(map(str, expected))}")
    count = int(ended.status > 0)
    # A process that watches the command may print a line if the command was killed.
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
    """Return the files of a run that are missing or damaged."""
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
