"""The ways to start a training on a CPU, and the checks of a disturbed training."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import cv2
import yaml

from tests.conftest import ROOT, stripes, write_pair

NAME = "roads"
EPOCHS = 3
SETTINGS = {
    "device_target": "CPU",
    "model_name": "linknet18",
    "batch_size": 2,
    "epoch_num": EPOCHS,
    "distribute_epoch_num": EPOCHS,
    "learning_rate": 0.001,
    "save_steps": 2,
    "num_workers": 1,
    "log_name": NAME,
}
COMPARED = ("best.ckpt", "last.ckpt", "plateau.ckpt")
WRITTEN = {
    f"{NAME}_{ending}"
    for ending in (
        *COMPARED,
        "previous.ckpt",
        "epochs.csv",
        "curves.png",
        "config.yaml",
        "split.json",
        "checked.json",
        "train.log",
    )
}
LOCKS = (".lock", "_lock")
AIM = Path(__file__).resolve().parent / "aim"


@dataclass(frozen=True)
class Way:
    """One way to train.

    command: (place, whether to resume) -> the command line.
    output: the folder of the run, inside the place.
    logs: patterns of the training's log files. The command's own output is not among them.
    script: whether a script starts the training.
    share: the number of runs in this way, out of nine.
    optimizer: the optimizer. Adam's moments make checkpoints half as large again.
    """

    name: str
    command: Callable[[Path, bool], list[str]]
    output: str
    logs: tuple[str, ...] = ()
    script: bool = False
    share: int = 1
    optimizer: str = "sgd"


def _resume(resumes: bool) -> list[str]:
    return ["--resume=True"] if resumes else []


def _single(place: Path, resumes: bool) -> list[str]:
    return [
        sys.executable,
        str(ROOT / "train.py"),
        "--config_path=settings.yaml",
        "--data_path=data/train",
        "--val_path=data/valid",
        "--output_path=out",
        *_resume(resumes),
    ]


def _script(name: str, *words: str) -> Callable[[Path, bool], list[str]]:
    return lambda place, resumes: [
        "bash",
        str(ROOT / "scripts" / name),
        "data/train",
        "settings.yaml",
        *words,
        "--val_path=data/valid",
        "--wait",
        *_resume(resumes),
    ]


def _job(place: Path, resumes: bool) -> list[str]:
    return [
        sys.executable,
        str(ROOT / "train.py"),
        "--config_path=settings.yaml",
        "--enable_modelarts=True",
        f"--data_url={place}/packed",
        f"--train_url={place}/run",
        f"--cache_path={place}/cache",
        f"--val_path={place}/data/valid",
    ]


WAYS = {
    way.name: way
    for way in (
        Way("one process", _single, "out", share=4, optimizer="adam"),
        Way("script", _script("run_standalone_cpu_train.sh"), "output", ("train.log",), True, 2),
        Way("job", _job, "run", share=2),
        Way(
            "two processes",
            _script("run_distribute_cpu_train.sh", "2"),
            "LOG0/output",
            ("LOG*/*.log",),
            True,
            1,
        ),
    )
}


def prepare(way: Way, place: Path) -> None:
    """Write images, masks, their archive, and settings.

    An epoch has three steps, or two steps in two processes.
    """
    for number in range(6):
        write_pair(place / "data" / "train", f"t{number}", *stripes(number))
    for number in range(2):
        write_pair(place / "data" / "valid", f"v{number}", *stripes(50 + number))
    (place / "packed").mkdir()
    with zipfile.ZipFile(place / "packed" / "roads.zip", "w") as archive:
        for file in sorted((place / "data" / "train").iterdir()):
            archive.write(file, f"roads/{file.name}")
    (place / "settings.yaml").write_text(
        yaml.safe_dump({**SETTINGS, "optimizer": way.optimizer}), encoding="utf-8"
    )


LIVING: set[Run] = set()


def end_all(number: int) -> None:
    """Kill the trainings that still run, and end this process as the signal requests."""
    for run in list(LIVING):
        run.send(signal.SIGKILL, [run.process.pid, *run.members()])
    os._exit(128 + number)


class Run:
    """One start of a training, in its own session.

    Args:
        way: the way to start it.
        place: the folder where it is started.
        resumes: whether it resumes an earlier training.
        environment: more variables.
    """

    def __init__(self, way: Way, place: Path, resumes: bool, environment: dict[str, str]):
        self.way, self.place = way, place
        self.began = {file: file.stat().st_size for file in self._logs()}
        self.said, self.errors = place / "stdout", place / "stderr"
        bin_folder = str(Path(sys.executable).parent)
        variables = {
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(AIM),
            "TMPDIR": str(place),
            **environment,
        }
        with open(self.said, "wb") as said, open(self.errors, "wb") as errors:
            self.process = subprocess.Popen(
                way.command(place, resumes),
                cwd=place,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=errors,
                start_new_session=True,
            )
        self.start = time.monotonic()
        LIVING.add(self)

    @property
    def seconds(self) -> float:
        """The seconds since the start."""
        return time.monotonic() - self.start

    def wait(self, seconds: float) -> int | None:
        """Return the exit status; None if the command has not ended in time."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def members(self, word: str = "") -> list[int]:
        """Return the living processes of the session whose command line holds `word`."""
        found = []
        for entry in os.listdir("/proc"):
            try:
                if not entry.isdigit() or os.getsid(int(entry)) != self.process.pid:
                    continue
                with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                    # A process whose other threads are still ending is a zombie that holds its
                    # files.
                    gone = (
                        file.read().rpartition(")")[2].split()[0] == "Z"
                        and len(os.listdir(f"/proc/{entry}/task")) == 1
                    )
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    line = file.read().replace(b"\0", b" ").decode(errors="replace")
            except (OSError, IndexError):
                continue
            if not gone and word in line:
                found.append(int(entry))
        return found

    def trainings(self) -> list[int]:
        """Return the processes that run train.py, without shells of scripts and forked children."""
        found = [
            pid
            for pid in self.members("train.py")
            if pid != self.process.pid or not self.way.script
        ]
        return [pid for pid in found if _parent(pid) not in found]

    def send(self, number: int, pids: list[int]) -> None:
        """Send a signal to each of these processes that still runs."""
        for pid in pids:
            try:
                if pid == self.process.pid:
                    self.process.send_signal(number)
                else:
                    os.kill(pid, number)
            except ProcessLookupError:
                pass

    def clear(self, patience: float) -> int:
        """Wait until the session is empty or `patience` seconds are over, then kill its processes.

        Return how many were killed.
        """
        end = time.monotonic() + patience
        while (left := self.members()) and time.monotonic() < end:
            time.sleep(0.05)
        self.send(signal.SIGKILL, left)
        self.process.wait()
        while self.members():
            time.sleep(0.02)
        LIVING.discard(self)
        return len(left)

    def error_lines(self) -> list[str]:
        """Return the lines that the command printed on stderr."""
        return [
            line
            for line in self.errors.read_text(encoding="utf-8", errors="replace").splitlines()
            if line.strip()
        ]

    def log(self) -> str:
        """Return the text that this start printed to stdout and to logs."""
        texts = [self.said.read_text(encoding="utf-8", errors="replace")]
        for file in self._logs():
            with open(file, "rb") as data:
                before = self.began.get(file, 0)
                data.seek(before if before <= file.stat().st_size else 0)
                texts.append(data.read().decode(errors="replace"))
        return "\n".join(texts)

    def _logs(self) -> list[Path]:
        return [
            file
            for pattern in self.way.logs
            for file in sorted(self.place.glob(pattern))
            if "before" not in file.name
        ]


def _parent(pid: int) -> int:
    """Return a process's parent; 0 if it has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def can_resume(way: Way, place: Path) -> bool:
    """Return whether a run has left a checkpoint to resume from."""
    return any(
        (place / way.output / f"{NAME}_{ending}").exists()
        for ending in ("last.ckpt", "previous.ckpt")
    )


def epochs_left(way: Way, place: Path) -> float:
    """Return the part of a run's epochs that is left, 0 to 1."""
    table = place / way.output / f"{NAME}_epochs.csv"
    done = len(table.read_text(encoding="utf-8").splitlines()) - 1 if table.exists() else 0
    return 1 - done / EPOCHS


def faults_of_files(way: Way, place: Path) -> list[str]:
    """Return the faults in the files of a run that has ended: damaged files, files left over."""
    out, found = place / way.output, []
    names = {
        file.name
        for file in out.iterdir()
        if not file.name.endswith(LOCKS) and "_before_" not in file.name
    }
    found += [f"{name} was left over" for name in sorted(names - WRITTEN)]
    found += [f"{name} is missing" for name in sorted(WRITTEN - names)]
    stray = [str(file.relative_to(place)) for file in place.rglob(".*.[0-9]*") if file.is_file()]
    found += [f"{name} was left over" for name in stray if Path(name).name not in names]
    try:
        with open(out / f"{NAME}_epochs.csv", encoding="utf-8") as file:
            epochs = [row["epoch"] for row in csv.DictReader(file)]
        if epochs != [str(epoch + 1) for epoch in range(EPOCHS)]:
            found.append(f"{NAME}_epochs.csv has the epochs {epochs}")
        json.loads((out / f"{NAME}_split.json").read_text(encoding="utf-8"))
        yaml.safe_load((out / f"{NAME}_config.yaml").read_text(encoding="utf-8"))
        if cv2.imread(str(out / f"{NAME}_curves.png")) is None:
            found.append(f"{NAME}_curves.png is not whole")
    except (OSError, ValueError, KeyError, yaml.YAMLError) as error:
        found.append(f"{type(error).__name__}: {error}")
    return found


def contents(way: Way, place: Path) -> dict[str, tuple[dict[str, bytes], Any]]:
    """Return ending -> (a hash of each tensor, the best figure) for a run's checkpoints.

    MindSpore must have been started.

    Raises:
        UserError: a checkpoint is missing or damaged.
    """
    from dlinknet.checkpoints.read import read_checkpoint

    found = {}
    for ending in COMPARED:
        read = read_checkpoint(str(place / way.output / f"{NAME}_{ending}"))
        found[ending] = (
            {
                name: hashlib.blake2b(value.tobytes()).digest()
                for name, value in read.tensors.items()
            },
            read.meta.get("best"),
        )
    return found


def differences(
    whole: dict[str, tuple[dict[str, bytes], Any]], ours: dict[str, tuple[dict[str, bytes], Any]]
) -> list[str]:
    """Return the differences between the contents of two runs."""
    found = []
    for ending, (tensors, best) in whole.items():
        mine, my_best = ours[ending]
        names = [name for name in {**tensors, **mine} if tensors.get(name) != mine.get(name)]
        found += (
            [f"{ending}: {len(names)} of {len(tensors)} tensors differ, {names[0]} first"]
            if names
            else []
        )
        found += [f"{ending}: best is {my_best}, not {best}"] if my_best != best else []
    return found
