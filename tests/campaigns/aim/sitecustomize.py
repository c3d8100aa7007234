"""List the changes that a training makes on disk, and kill or pause the training at one of them.

Python imports this module first in each process that a campaign of kills starts.

AIM_WATCHED     the folder whose files count
AIM_LIST        a file that receives the name of each event, one per line
AIM_AT          the number of the event at which to strike, from 1; without it nothing happens
AIM_SECONDS     the seconds from the event's start to the kill (0: before the event starts); without
                it the event waits for a moment, in which the campaign sees the list grow and sends
                its signal

Events are: opening a file for writing, renaming, removing, linking, making a folder, fsync. Only
the rank that writes files counts.
"""

import os
import signal
import subprocess
import sys
import time

HELD = 0.3  # seconds


def writes():
    with open("/proc/self/cmdline", "rb") as words:
        command = words.read().split(b"\0")
    trains = any(word.endswith(b"train.py") for word in command[1:2])
    return (
        trains and os.environ.get("MS_ROLE") != "MS_SCHED" and os.environ.get("RANK_ID", "0") == "0"
    )


class Aim:
    def __init__(self):
        self.watched = os.path.join(os.path.realpath(os.environ["AIM_WATCHED"]), "")
        self.list = os.open(os.environ["AIM_LIST"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.at, self.count, self.process = int(os.environ.get("AIM_AT", 0)), 0, os.getpid()

    def audit(self, event, arguments):
        if event == "open":
            path, mode, flags = arguments
            changes = set(mode or "") & set("wax+") or (flags or 0) & (
                os.O_WRONLY | os.O_RDWR | os.O_CREAT
            )
            if changes and isinstance(path, (str, bytes, os.PathLike)):
                self.happens(event, path)
        elif event in ("os.rename", "os.remove", "os.link", "os.symlink", "os.mkdir", "os.rmdir"):
            self.happens(event, arguments[1] if event in ("os.rename", "os.link") else arguments[0])

    def happens(self, event, path):
        path = os.path.abspath(os.fsdecode(path))
        if os.getpid() != self.process or not path.startswith(self.watched):
            return
        self.count += 1
        os.write(self.list, f"{event} {path[len(self.watched) :]}\n".encode())
        if self.count == self.at:
            self.strike()

    def strike(self):
        if "AIM_SECONDS" not in os.environ:
            time.sleep(HELD)
        elif float(os.environ["AIM_SECONDS"]) == 0:
            os.kill(self.process, signal.SIGKILL)
        else:
            subprocess.Popen(
                ["sh", "-c", f"sleep {os.environ['AIM_SECONDS']}; kill -9 {self.process}"]
            )

    def fsync(self, whole):
        def fsync(file):
            self.happens(
                "fsync",
                os.readlink(f"/proc/self/fd/{file if isinstance(file, int) else file.fileno()}"),
            )
            return whole(file)

        return fsync


if "AIM_LIST" in os.environ and writes():
    aim = Aim()
    os.fsync = aim.fsync(os.fsync)
    sys.addaudithook(aim.audit)
