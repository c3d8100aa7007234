"""python -m tests.campaigns.bad_inputs --number=20000 [--seed=1] [--kinds=image,torch]
[--workers=2] [--folder=PLACE]

Passes mutated files of every kind that a command reads to the functions that the commands call.
Each trial has its own process, with 3 GB of memory and 20 seconds. These are faults: a traceback, a
crash, a hang, too much memory, a line of more than 300 characters, and two parts of dlinknet that
disagree about one file. The same command continues a campaign that was stopped. Each trial that
finds a fault keeps its input in PLACE/KIND-NUMBER; `--only=KIND-NUMBER` runs it again. The exit
status is 1 if there is a fault.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

from dlinknet.console import columns
from tests.campaigns.command import parse
from tests.campaigns.forks import FAULTS, FINE, PASSED, REFUSED, Kind, try_once
from tests.campaigns.kinds import KINDS
from tests.campaigns.ledger import Ledger


def main(arguments: list[str]) -> int:
    options = parse(
        arguments,
        __doc__ or "",
        "inputs",
        1000,
        os.cpu_count() or 1,
        ("kinds", KINDS),
        "KIND-NUMBER",
    )
    folder = options.folder
    ledger = Ledger(folder)
    if options.only:
        kind = KINDS[options.only.rpartition("-")[0].replace("_", " ")]
        kind.warm()
        record = try_once(
            kind, options.only, f"{options.seed}:{options.only}", folder / options.only, keep=True
        )
        print(
            "\n".join(f"{key}: {value}" for key, value in record.items() if value),
            f"input: {folder / options.only}",
            sep="\n",
        )
        print((folder / options.only / "said").read_text(encoding="utf-8", errors="replace"))
        return int(record["outcome"] not in FINE)
    kinds = [KINDS[name] for name in options.kinds]
    trials = planned(kinds, options.number)
    _run(kinds, [trial for trial in trials if trial not in ledger.read()], options, folder)
    records = ledger.read()
    done = [records[trial] for trial in trials if trial in records]
    print(table(done))
    print(faults(done))
    wrong = sum(record["outcome"] not in FINE for record in done)
    missing = len(trials) - len(done)
    print(
        f"{len(done)} bad inputs, {wrong} wrong" + (f"; {missing} were not run" if missing else "")
    )
    return int(wrong + missing > 0)


def planned(kinds: list[Kind], number: int) -> list[str]:
    """Return the names of the trials: for each kind its share of `number`, and at least one."""
    whole = sum(kind.share for kind in kinds)
    return [
        name_of(kind, place)
        for kind in kinds
        for place in range(max(1, round(number * kind.share / whole)))
    ]


def name_of(kind: Kind, place: int) -> str:
    """Return a trial's name. Its folder has the same name."""
    return f"{kind.name.replace(' ', '_')}-{place}"


def _run(kinds: list[Kind], trials: list[str], options: argparse.Namespace, folder: Path) -> None:
    """Run the trials in `workers` servers, first the trials that do not require MindSpore."""
    by_name = {kind.name.replace(" ", "_"): kind for kind in kinds}
    for mindspore in (False, True):
        todo = [
            (by_name[trial.rpartition("-")[0]], trial)
            for trial in trials
            if by_name[trial.rpartition("-")[0]].mindspore == mindspore
        ]
        servers = [
            pid
            for worker in range(options.workers)
            if (part := todo[worker :: options.workers])
            and (pid := _serve(part, options.seed, folder))
        ]
        for server in servers:
            os.waitpid(server, 0)


def _serve(trials: list[tuple[Kind, str]], seed: int, folder: Path) -> int:
    """Fork a server that runs these trials one after another; return its process number."""
    sys.stdout.flush()
    server = os.fork()
    if server:
        return server
    status = 1
    try:
        os.environ["OMP_NUM_THREADS"] = "1"
        for kind in {kind.name: kind for kind, _ in trials}.values():
            kind.warm()
        gc.collect()
        gc.freeze()  # otherwise a child's garbage collector copies the memory that all share
        ledger, told = Ledger(folder), time.monotonic()
        for place, (kind, trial) in enumerate(trials):
            ledger.add(try_once(kind, trial, f"{seed}:{trial}", folder / trial))
            if time.monotonic() - told > 30:
                told = time.monotonic()
                print(f"{place + 1} of {len(trials)} ({trial})", flush=True)
        status = 0
    except BaseException:  # noqa: BLE001  (this process ends here; main() counts the missing trials)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


def table(records: list[dict[str, Any]]) -> str:
    """Return one line per kind, with the number of trials for each outcome."""
    names = list(dict.fromkeys(record["kind"] for record in records))
    outcomes = (PASSED, REFUSED, *FAULTS)
    counts = {
        name: Counter(record["outcome"] for record in records if record["kind"] == name)
        for name in names
    }
    rows = [["kind", "trials", *outcomes]]
    rows += [
        [name, str(sum(counts[name].values())), *(str(counts[name][each]) for each in outcomes)]
        for name in names
    ]
    rows.append(
        [
            "all",
            str(len(records)),
            *(str(sum(counts[name][each] for name in names)) for each in outcomes),
        ]
    )
    return columns(rows, right=len(outcomes) + 1)


def faults(records: list[dict[str, Any]], shown: int = 60) -> str:
    """Return one line per group of similar faults: their number, the first trial, its message."""
    found: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for record in records:
        if record["outcome"] not in FINE:
            found.setdefault(signature(record), []).append(record)
    lines = [
        f"{len(alike)} x {alike[0]['outcome']} of {alike[0]['kind']}"
        f"{' in ' + key[2] if key[2] else ''}, {alike[0]['trial']}: "
        f"{alike[0]['text'][:160]} ({alike[0]['what'][:120]})"
        for key, alike in sorted(found.items(), key=lambda item: -len(item[1]))
    ]
    return "\n".join(
        lines[:shown] + [f"and {len(lines) - shown} more sorts"] * (len(lines) > shown)
    )


def signature(record: dict[str, Any]) -> tuple[str, ...]:
    """Return a key that is equal for similar faults."""
    begin = (
        record["text"].split(":")[0][:40]
        if record["outcome"] != "disagrees"
        else record["text"][:60]
    )
    words = " ".join(word for word in begin.split() if not any(c.isdigit() for c in word))
    return record["kind"], record["outcome"], record.get("where", ""), words


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
