"""Started by msrun in place of a training: waits until msrun has ended, and becomes the training.

usage: msrun_process.py SUPERVISOR FOLDER PROGRAM ARGUMENT ...

If a process ended before msrun, its exit status would be lost. After msrun has ended, the process
SUPERVISOR adopts this one. It reads in FOLDER which process is which rank.
"""

from __future__ import annotations

import os
import sys
import time

from dlinknet.launching.processes import end_with_parent

NOTE = ".process"  # suffix of a file that holds the number of a process
LOOK = 0.05  # seconds between two looks at the parent


def main(supervisor: int, folder: str, training: list[str]) -> None:
    """Note this process's number in `folder`, wait for the supervisor, run the training."""
    schedules = os.environ.get("MS_ROLE") == "MS_SCHED"
    name = "scheduler" if schedules else f"rank_{os.environ['RANK_ID']}"
    note = os.path.join(folder, name + NOTE)
    with open(note + ".part", "w", encoding="ascii") as file:
        file.write(str(os.getpid()))
    os.rename(note + ".part", note)
    msrun = os.getppid()
    while os.getppid() == msrun != supervisor:
        time.sleep(LOOK)
    end_with_parent(supervisor)
    os.execv(sys.executable, [sys.executable, *training])


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
