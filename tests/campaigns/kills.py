"""python -m tests.campaigns.kills --number=500 [--seed=1] [--ways="one process,job"] [--workers=2]
[--folder=PLACE]

Kills trainings until the number is reached. Resumes each training until it ends, and compares every
tensor with the tensors of an undisturbed training. Signals: KILL, TERM, INT (also twice in a row),
STOP then CONT, at random moments and at the Nth time that a file is opened for writing, renamed,
removed or synced. Ways: train.py, the script for one process, the script for two processes, a
ModelArts job on local folders. These are faults: an unexpected exit status, more or less than one
line on stderr, a traceback, a process that remains, a file that is left over or incomplete, a
tensor that differs by a bit. The same command continues a campaign that was stopped. A run with a
fault keeps its files in PLACE/RUN; `--only=RUN` repeats it. The exit status is 1 if there is a
fault.
"""

from __future__ import annotations

import json
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

from dlinknet.console import columns
from dlinknet.errors import UserError
from dlinknet.signals import PATIENCE
from tests.campaigns.command import parse
from tests.campaigns.ledger import Ledger
from tests.campaigns.plans import (
    LONGEST,
    SIGNALS,
    Plan,
    Reference,
    draw,
    is_over,
    judge,
)
from tests.campaigns.runs import (
    WAYS,
    Run,
    Way,
    can_resume,
    contents,
    differences,
    end_all,
    epochs_left,
    faults_of_files,
    prepare,
)

MOST = 8  # kills per run; after them the run is undisturbed
# Seconds in which Python may not have started train.py yet: a signal ends it without a message.
EARLY = 0.5
LATE = 10.0  # seconds for an end by TERM or INT; half of them on a machine that does nothing else
IGNORED = 2.0  # seconds in which a training that receives a signal may still end as planned
# The same for MindSpore's scheduler, which never returns to Python and is killed then. Ranks that
# are done by then look for it for 5 s.
IGNORED_BY_SCHEDULER = PATIENCE + 7.0
KEPT = 8  # runs with a fault whose checkpoints are kept; of further ones only the logs are kept
DAMAGED = ("is not a whole", "is damaged", "going on from the one before")


class Campaign:
    """The runs of a campaign in one folder.

    Args:
        seed: determines all random choices.
    """

    def __init__(self, folder: Path, seed: int):
        self.folder, self.seed, self.ledger = folder, seed, Ledger(folder)
        self.references: dict[str, Reference] = {}
        self.lock, self.kept = threading.Lock(), 0
        self.left = MOST  # kills that are still missing, over all runs

    def need_reference(self, way: Way) -> None:
        """Run an undisturbed training of this way, unless an earlier call of the campaign did."""
        place = self.folder / "whole" / way.name.replace(" ", "_")
        state = place / "reference.json"
        if not state.exists():
            shutil.rmtree(place, ignore_errors=True)
            prepare(way, place)
            listed = place.with_suffix(".events")
            listed.unlink(missing_ok=True)
            run = Run(
                way, place, False, {"AIM_WATCHED": str(place / way.output), "AIM_LIST": str(listed)}
            )
            status = run.wait(LONGEST)
            seconds = run.seconds
            left = run.clear(5)
            wrong = (
                ([f"it ended with {status}"] if status else [])
                + ([f"{left} processes stayed"] if left else [])
                + run.error_lines()
            )
            wrong += [] if wrong else faults_of_files(way, place)
            if wrong:
                raise SystemExit(
                    f"the undisturbed run ({way.name}, {place}) went wrong: {'; '.join(wrong)}"
                )
            state.write_text(
                json.dumps(
                    {"seconds": seconds, "events": listed.read_text(encoding="utf-8").splitlines()}
                ),
                encoding="utf-8",
            )
        values = json.loads(state.read_text(encoding="utf-8"))
        with self.lock:
            self.references[way.name] = Reference(
                values["seconds"], values["events"], contents(way, place)
            )
        print(
            f"{way.name}: undisturbed in {values['seconds']:.0f} s, "
            f"{len(values['events'])} changes of files",
            flush=True,
        )

    def try_run(self, way: Way, number: int) -> dict[str, Any]:
        """Disturb one training until it ends; return its record, with a list of its kills."""
        name = f"{way.name.replace(' ', '_')}-{number}"
        rng, place, whole = (
            Random(f"{self.seed}:{name}"),
            self.folder / name,
            self.references[way.name],
        )
        shutil.rmtree(place, ignore_errors=True)
        prepare(way, place)
        kills: list[dict[str, Any]] = []
        wrong: list[str] = []
        while True:
            plan = None
            if len(kills) < MOST and self.left > 0:
                plan = draw(rng, way, whole, epochs_left(way, place))
            done = self._live(way, place, plan, len(kills))
            wrong += [f"{done['plan'] or 'left alone'}: {fault}" for fault in done["wrong"]]
            if done["struck"]:
                kills.append(done)
                self.left -= 1
            if done["ended"] or not done["struck"]:
                break
        if done["ended"]:
            wrong += faults_of_files(way, place)
            try:
                with self.lock:  # reading a checkpoint needs some hundred MB of memory
                    wrong += differences(whole.contents, contents(way, place))
            except UserError as error:
                wrong.append(str(error))
        record = {
            "trial": name,
            "way": way.name,
            "kills": kills,
            "wrong": wrong,
            "ended": done["ended"],
        }
        self._keep(place, bool(wrong))
        return record

    def _live(self, way: Way, place: Path, plan: Plan | None, number: int) -> dict[str, Any]:
        """Start or resume the training once, disturb it as planned, and return the outcome."""
        listed = place / f"events{number}"
        environment = {
            "AIM_WATCHED": str(place / way.output),
            "AIM_LIST": str(listed),
            **(plan.environment if plan else {}),
        }
        run = Run(way, place, can_resume(way, place), environment)
        struck = plan if plan and plan.strike(run, listed) else None
        waited = time.monotonic()
        status = run.wait(3 * LATE if struck and struck.signals != "STOP" else LONGEST)
        took = time.monotonic() - waited
        stays = run.clear(LATE if status is not None else 0)
        log, lines = run.log(), run.error_lines()
        (place / f"said{number}").write_text(
            log[-20000:] + "\n--- stderr\n" + "\n".join(lines[-200:]), encoding="utf-8"
        )
        ended = status == 0 and is_over(log)
        early = struck is not None and struck.sent_at < EARLY
        ignored = IGNORED_BY_SCHEDULER if way.name == "two processes" else IGNORED
        wrong = [] if early else judge(way, struck, status, lines, log)
        if status is None:
            wrong = [f"no end after {took:.0f} s"]
        elif struck and struck.gentle and took > LATE:
            wrong.append(f"the end came after {took:.1f} s")
        elif struck and struck.gentle and ended and not struck.over and took > ignored:
            wrong.append(f"the signal was ignored: {took:.1f} s later the training came to its end")
        if stays and status is not None:
            wrong.append(f"{stays} processes stayed")
        wrong += [f"the log says '{word}'" for word in DAMAGED if word in log]
        events = listed.read_text(encoding="utf-8").splitlines() if listed.exists() else []
        return {
            "plan": str(plan or ""),
            "at": events[-1] if events else "before its first file",
            "struck": struck is not None,
            "status": status,
            "ended": ended,
            "early": early,
            "wrong": wrong,
            "seconds": round(run.seconds, 1),
        }

    def _keep(self, place: Path, failed: bool) -> None:
        """Remove a run's files. A run with a fault keeps its logs; the first few keep all files."""
        if not failed:
            shutil.rmtree(place)
            return
        self.kept += 1
        if self.kept > KEPT:
            for file in place.rglob("*.ckpt"):
                file.unlink()


def main(arguments: list[str]) -> int:
    options = parse(arguments, __doc__ or "", "kills", 50, 2, ("ways", WAYS), "WAY-NUMBER")
    campaign, ways = (Campaign(options.folder, options.seed), [WAYS[name] for name in options.ways])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: end_all(number))
    _start_mindspore()
    if options.only:
        way = WAYS[options.only.rpartition("-")[0].replace("_", " ")]
        campaign.need_reference(way)
        record = campaign.try_run(way, int(options.only.rpartition("-")[2]))
        print(json.dumps(record, indent=1))
        return int(bool(record["wrong"]))
    with ThreadPoolExecutor(options.workers) as pool:
        list(pool.map(campaign.need_reference, ways))
    _work(campaign, ways, options.number, options.workers)
    records = list(campaign.ledger.read().values())
    print(table(records), faults(records), sep="\n")
    count, wrong = (
        sum(len(record["kills"]) for record in records),
        sum(bool(record["wrong"]) for record in records),
    )
    print(
        f"{count} kills of {len(records)} runs; {len(records) - wrong} runs as they should be, "
        f"{wrong} not"
    )
    return int(wrong > 0)


def _start_mindspore() -> None:
    """Start MindSpore, so that this process can read checkpoints."""
    from dlinknet.devices import runtime

    runtime.start("CPU", 0, 1)
    import dlinknet.checkpoints.load  # noqa: F401


def _work(campaign: Campaign, ways: list[Way], number: int, workers: int) -> None:
    """Run trainings in `workers` threads until the number of kills is reached."""
    records = campaign.ledger.read()
    more = [way for way in ways for _ in range(way.share - 1)]
    Random(campaign.seed).shuffle(more)
    order = [*ways, *more]  # a short campaign must have each way too
    kills, place, lock = (
        sum(len(record["kills"]) for record in records.values()),
        0,
        threading.Lock(),
    )
    campaign.left = number - kills

    def work() -> None:
        nonlocal kills, place
        while True:
            with lock:
                if campaign.left <= 0:
                    return
                way, index = order[place % len(order)], place
                place += 1
            if f"{way.name.replace(' ', '_')}-{index}" in records:
                continue
            record = campaign.try_run(way, index)
            campaign.ledger.add(record)
            with lock:
                kills += len(record["kills"])
                print(
                    f"{kills} kills; {record['trial']}: {len(record['kills'])}, "
                    f"{'; '.join(record['wrong'])[:200] or 'as it should be'}",
                    flush=True,
                )

    with ThreadPoolExecutor(workers) as pool:
        for each in [pool.submit(work) for _ in range(workers)]:
            each.result()


def table(records: list[dict[str, Any]]) -> str:
    """Return one line per way and per signal: kills, their moments, statuses, faults."""
    rows = [["way", "signal", "kills", "at a file", "statuses", "wrong"]]
    for way in WAYS:
        kills = [kill for record in records if record["way"] == way for kill in record["kills"]]
        for name in (*SIGNALS, "STOP"):
            mine = [kill for kill in kills if kill["plan"].partition(" to ")[0] == name]
            if mine:
                found = Counter(str(kill["status"]) + " (early)" * kill["early"] for kill in mine)
                rows.append(
                    [
                        way,
                        name,
                        str(len(mine)),
                        str(sum("event" in kill["plan"] for kill in mine)),
                        ", ".join(f"{count} x {status}" for status, count in found.most_common()),
                        str(sum(bool(kill["wrong"]) for kill in mine)),
                    ]
                )
    for way in WAYS:
        mine = [record for record in records if record["way"] == way]
        if mine:
            same = sum(
                record["ended"]
                and not any("differ" in fault or "best is" in fault for fault in record["wrong"])
                for record in mine
            )
            rows.append(
                [
                    way,
                    "ends",
                    str(len(mine)),
                    "",
                    f"{same} bit-identical",
                    str(sum(not record["ended"] for record in mine)),
                ]
            )
    return columns(rows)


def faults(records: list[dict[str, Any]], shown: int = 40) -> str:
    """Return the faults, similar ones grouped, with the run to repeat."""
    found: dict[str, list[str]] = {}
    for record in records:
        for fault in record["wrong"]:
            plan, _, text = fault.partition(": ")
            key = " ".join(
                word
                for word in f"{plan.partition(' to ')[0]}: {text}".split()
                if not word.replace(".", "").isdigit()
            )
            found.setdefault(f"{record['way']}: {key}", []).append(
                f"{record['trial']} ({fault[:220]})"
            )
    lines = [
        f"{len(alike)} x {key[:120]}; {alike[0]}"
        for key, alike in sorted(found.items(), key=lambda item: -len(item[1]))
    ]
    return "\n".join(lines[:shown])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
