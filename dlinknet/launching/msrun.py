"""Several processes without a rank table, started by MindSpore's msrun and watched by this program.

msrun could watch them itself (--join=True). But after a failure it waits minutes for its scheduler,
and only its log names the process that failed. So msrun only starts the processes, and ends. They
become children of this program, which then knows how each of them ends. Until msrun has ended, they
wait in msrun_process.py.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dlinknet.errors import RunFailed, UserError
from dlinknet.launching import processes
from dlinknet.launching.log_folders import here, log_of_rank, move_aside, now
from dlinknet.launching.msrun_process import NOTE
from dlinknet.launching.supervisor import Supervisor


@dataclass(frozen=True)
class Cluster:
    """The ranks of one training on one or several machines, with equally many on each.

    size: the number of ranks. here: the number of ranks on this machine. node: the number of this
    machine. address, port: those of the scheduler, on machine 0.
    """

    size: int
    here: int
    node: int
    address: str
    port: int

    def ranks(self) -> range:
        """Return the ranks of this machine."""
        return range(self.node * self.here, (self.node + 1) * self.here)

    def options(self) -> list[str]:
        """Return the options of msrun."""
        return [
            f"--worker_num={self.size}",
            f"--local_worker_num={self.here}",
            f"--master_addr={self.address}",
            f"--master_port={self.port}",
            f"--node_rank={self.node}",
            "--join=False",
        ]


def find_msrun() -> str:
    """Return the msrun of this Python's MindSpore.

    Raises:
        UserError: there is none.
    """
    beside = Path(sys.executable).parent
    found = shutil.which("msrun", path=str(beside)) or shutil.which("msrun")
    if found is None:
        raise UserError(
            f"there is no msrun beside {sys.executable}: it comes with MindSpore 2.3 and later"
        )
    return found


def free_port() -> int:
    """Return a port of this machine that no process uses."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def need_free_port(port: int, name: str = "MASTER_PORT") -> None:
    """Check that no process of this machine listens at a port. Otherwise the ranks would wait.

    Args:
        name: the word or variable that names the port, for the error's line.

    Raises:
        UserError: the port is in use, or is no port.
    """
    try:
        with socket.socket() as free:
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            free.bind(("", port))
    except (OSError, OverflowError):
        raise UserError(
            f"{name}: port {port} of this machine cannot be used; "
            "another process uses it, or it is no port"
        ) from None


def make_log_folder(ranks: Sequence[int]) -> Path:
    """Make and return a folder for msrun's logs. LOG[rank]/log.log become links into it.

    The log of a training that is resumed is renamed.
    """
    moment = now()
    folder = here() / f"msrun_{moment}"
    os.makedirs(folder, exist_ok=True)
    for rank in ranks:
        log = log_of_rank(rank)
        move_aside(log, moment)
        os.symlink(f"../{folder.name}/worker_{rank}.log", log)
    return folder


def start_ranks(
    supervisor: Supervisor, msrun: str, cluster: Cluster, folder: Path, training: list[str]
) -> None:
    """Start the ranks of this machine, and the scheduler if msrun finds that it belongs here.

    Args:
        folder: receives msrun's logs.
        training: the command without the Python that runs it.

    Raises:
        RunFailed: msrun failed, or a rank ended at once.
        SystemExit: a signal asked this process to end.
    """
    if not supervisor.adopts:
        raise RunFailed("this system cannot give msrun's processes another parent: use Linux")
    beside = Path(sys.executable).parent
    # msrun runs `python` of PATH, unless its first word is python3.
    python = [] if (beside / "python").exists() else ["python3"]
    waiting = [str(Path(__file__).with_name("msrun_process.py")), str(os.getpid()), str(folder)]
    log = folder / "msrun.log"
    supervisor.start_helper(
        "msrun",
        [msrun, f"--log_dir={folder}", *cluster.options(), *python, *waiting, *training],
        log,
        {"PATH": f"{beside}{os.pathsep}{os.environ.get('PATH', '')}"},
    )
    supervisor.watch()
    found = _take_notes(supervisor, folder)
    lost = [rank for rank in cluster.ranks() if f"rank_{rank}" not in found]
    if lost:
        names = ", ".join(map(str, lost))
        raise RunFailed(f"msrun has not started rank {names}, or it ended at once (logs: {folder})")
    for name, pid in found.items():
        child = processes.Adopted(pid)
        if name == "scheduler":
            supervisor.adopt_helper("the scheduler", child, folder / "scheduler.log")
        else:
            supervisor.adopt_rank(int(name[len("rank_") :]), child)


def _take_notes(supervisor: Supervisor, folder: Path) -> dict[str, int]:
    """Return the processes that msrun has started, by name: scheduler, rank_0, ..."""
    while True:
        mine = processes.children(zombies=True)
        notes = {int(file.read_text()): file for file in folder.glob(f"*{NOTE}")}
        if notes.keys() >= set(processes.children()):
            break
        supervisor.pause()
    for file in notes.values():
        file.unlink()
    return {file.stem: pid for pid, file in notes.items() if pid in mine}
