"""Run one trial in one forked process with limits of memory and time, and report its outcome.

A fork needs some milliseconds. A new Python with MindSpore would need three seconds to start.
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import os
import resource
import select
import shutil
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Callable

from dlinknet.errors import LINE, RunFailed, UserError

SECONDS = 20  # that a trial may take
MAKING = 120  # that the making of its input may take
BYTES = 3 << 30  # of address space beyond what the process had when the trial began
RESIDENT = 2 << 30  # of memory really used beyond that
LONGEST = (
    300  # characters of an error's line about a text (YAML, JSON); a line about files has LINE
)
TEXTS = (
    "settings",
    "run settings",
    "class table",
    "sidecar",
    "rank table",
    "manifest",
    "class weights",
    "node record",
)
NOISE = 3  # lines of libraries on stderr beside that line
KEPT = 64 << 20  # bytes of an input that is kept
PASSED, REFUSED = "passed", "refused"
FINE = (PASSED, REFUSED)
FAULTS = ("traceback", "crash", "hang", "memory", "message", "noise", "disagrees", "own")
OURS = os.sep + "dlinknet" + os.sep


class Disagrees(Exception):
    """Two parts of dlinknet, or two calls of one part, disagree about an input.

    The text names the disagreement.
    """


@dataclass(frozen=True)
class Case:
    """One bad input in the current folder.

    what: how it was made, in words. run: passes it to the functions to which a command passes it.
    refuses: the exceptions that these functions document besides UserError and RunFailed.
    """

    what: str
    run: Callable[[], Any]
    refuses: tuple[type[Exception], ...] = ()


@dataclass(frozen=True)
class Kind:
    """One kind of input.

    share: the approximate number of trials of this kind among 1000. make: writes an input to the
    current folder. warm: prepares, once and before the fork, the things that all trials use.
    mindspore: whether the functions import MindSpore.
    """

    name: str
    share: int
    make: Callable[[Random], Case]
    warm: Callable[[], Any] = lambda: None
    mindspore: bool = False


def must_pass(run: Callable[[], Any]) -> Callable[[], Any]:
    """Return `run` for an undamaged input: then a rejection is a fault."""

    def checked() -> Any:
        try:
            return run()
        except (UserError, RunFailed) as error:
            raise Disagrees(f"a whole input is refused: {error}") from None

    return checked


def try_once(kind: Kind, trial: str, seed: str, place: Path, keep: bool = False) -> dict[str, Any]:
    """Make an input and run it in a forked process; return the record of the trial.

    Args:
        seed: determines the input.
        place: a folder for the input. It is removed if nothing is wrong and `keep` is False.
    """
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _child(kind, seed, place, writer)
    os.close(writer)
    try:
        record = _watch(child, reader)
    finally:
        os.close(reader)
    said = _noise(place / "said")
    if record["outcome"] in ("crash", "hang") and said:
        record["text"] += f" ({said[-1]})"
    if record["outcome"] in FINE and len(said) > NOISE:
        record.update(outcome="noise", text=f"{len(said)} lines were printed: {said[0]}"[:LONGEST])
    if record["outcome"] in FINE and not keep:
        _remove(place)
    else:
        _drop_large(place)
    return {"trial": trial, "kind": kind.name, **record}


def _child(kind: Kind, seed: str, place: Path, writer: int) -> None:
    """Run the trial, report, and end the process."""
    _end_with_parent()
    faulthandler.disable()
    os.chdir(place)
    said = os.open("said", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(said, 1)
    os.dup2(said, 2)
    report: dict[str, Any] = {"what": "", "outcome": "own", "text": ""}
    try:
        case = kind.make(Random(seed))
        report["what"] = case.what
        os.ftruncate(said, 0)  # what the making said is not what the user would see
        os.write(writer, (json.dumps({"what": case.what}) + "\n").encode())
        began, resident = time.monotonic(), _memory("VmHWM")
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (_memory("VmSize") + BYTES, hard))
        report.update(judged(case, LONGEST if kind.name in TEXTS else LINE))
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
        report["seconds"] = round(time.monotonic() - began, 2)
        used = _memory("VmHWM") - resident
        if report["outcome"] in FINE and used > RESIDENT:
            report.update(
                outcome="memory", text=f"{used / 1e9:.1f} GB used, then: {report['text']}"
            )
    except BaseException as error:  # noqa: BLE001  (a fault of the campaign itself)
        report.update(
            outcome="own", text=repr(error)[:LONGEST], where=_where(error, os.sep + "tests")
        )
        traceback.print_exc()
    try:
        os.write(writer, json.dumps(report).encode())
    finally:
        os._exit(0)


def judged(case: Case, longest: int = LONGEST) -> dict[str, Any]:
    """Run a case here; return its outcome, text and, of a traceback, where it was raised.

    Args:
        longest: characters of an error's line.
    """
    from dlinknet.images.files import BadImage

    refusals: tuple[type[Exception], ...] = (UserError, RunFailed, BadImage, *case.refuses)
    try:
        found = case.run()
        return {"outcome": PASSED, "text": "" if found is None else str(found)[:LONGEST]}
    except Disagrees as error:
        return {"outcome": "disagrees", "text": str(error)[:LONGEST]}
    except refusals as error:
        fault = fault_of_line(str(error), longest)
        return {"outcome": "message" if fault else REFUSED, "text": f"{fault}{error}"[:LONGEST]}
    except MemoryError as error:
        return {
            "outcome": "memory",
            "text": f"MemoryError {error}"[:LONGEST],
            "where": _where(error),
        }
    except BaseException as error:  # noqa: BLE001  (whatever it is, a user would see a traceback)
        outcome = "memory" if "nsufficient memory" in str(error) else "traceback"
        traceback.print_exc()
        return {
            "outcome": outcome,
            "text": f"{type(error).__name__}: {error}"[:LONGEST],
            "where": _where(error),
        }


def fault_of_line(text: str, longest: int = LONGEST) -> str:
    """Return the fault of an error's text, as a prefix for the text; '' if there is none."""
    if len(text) > longest:
        return f"[{len(text)} characters] "
    if "\n" in text.strip():
        return f"[{len(text.splitlines())} lines] "
    if not text.strip():
        return "[an empty line] "
    if not text.isprintable():
        return f"[unprintable {ascii(next(c for c in text if not c.isprintable()))}] "
    return ""


def _where(error: BaseException, part: str = OURS) -> str:
    """Return the innermost function of a traceback whose file has `part` in its path."""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if part in frame.filename
    ]
    return f"{Path(frames[-1].filename).name}:{frames[-1].name}" if frames else ""


def _watch(child: int, reader: int) -> dict[str, Any]:
    """Read the reports of a child until it ends or its time is over."""
    data, ready, end = b"", False, time.monotonic() + MAKING
    record: dict[str, Any] = {
        "what": "",
        "outcome": "own",
        "text": "the input could not be made in time",
    }
    while True:
        if not select.select([reader], [], [], max(0.0, end - time.monotonic()))[0]:
            os.kill(child, signal.SIGKILL)
            if ready:
                record.update(outcome="hang", text=f"still running after {SECONDS} s")
            break
        block = os.read(reader, 1 << 16)
        if not block:
            break
        data += block
        if not ready and b"\n" in data:
            line, _, data = data.partition(b"\n")
            record.update(json.loads(line), text="")
            ready, end = True, time.monotonic() + SECONDS
    _, status = os.waitpid(child, 0)
    if record["outcome"] == "hang":
        return record
    try:
        record.update(json.loads(data))
    except ValueError:
        how = (
            signal.Signals(os.WTERMSIG(status)).name
            if os.WIFSIGNALED(status)
            else f"status {os.WEXITSTATUS(status)}"
        )
        record.update(outcome="crash" if ready else "own", text=f"ended by {how}")
    return record


def _memory(name: str) -> int:
    """Return a figure of this process's memory in bytes, by its name in /proc/self/status."""
    with open("/proc/self/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{name}:"))


def _end_with_parent() -> None:
    """Have the kernel kill this process when its parent ends."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _noise(file: Path) -> list[str]:
    """Return the lines that a trial printed, without the output of traceback.print_exc()."""
    if not file.exists():
        return []
    return [
        line
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines()
        if line.strip()
    ]


def _remove(place: Path) -> None:
    try:
        shutil.rmtree(place)
    except OSError:  # a folder without permissions, or a name too long for a path
        os.system(f"chmod -R u+rwX '{place}'; rm -rf '{place}'")


def _drop_large(place: Path) -> None:
    """Remove files that are too large to keep. The trial's name makes them again."""
    for file in place.rglob("*"):
        if file.is_file() and not file.is_symlink() and file.stat().st_size > KEPT:
            file.unlink()
