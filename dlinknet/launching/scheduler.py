"""The process of MindSpore that connects the ranks of a training, and its address."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dlinknet.errors import InputError
from dlinknet.launching import msrun
from dlinknet.launching.script_arguments import need_count

if TYPE_CHECKING:
    from dlinknet.devices.rank_table import RankDevice

PORT = "8118"  # msrun's default


@dataclass(frozen=True)
class Scheduler:
    """The process that connects the ranks of a training, as msrun starts it.

    size: the number of ranks. here: whether it runs on this machine.
    """

    size: int
    host: str
    port: int
    here: bool = True

    def environment(self) -> dict[str, str]:
        """Return the variables by which it and the ranks find each other."""
        return {
            "MS_WORKER_NUM": str(self.size),
            "MS_SCHED_HOST": self.host,
            "MS_SCHED_PORT": str(self.port),
            "RANK_SIZE": str(self.size),
        }


def local_scheduler(size: int) -> Scheduler:
    """Return the scheduler of a training with all its ranks on this machine."""
    return Scheduler(size, "127.0.0.1", msrun.free_port())


def scheduler_of_table(places: list[RankDevice], mine: list[RankDevice]) -> Scheduler:
    """Return the scheduler of the ranks of a table. It runs on the machine of rank 0.

    Args:
        mine: the ranks on this machine.

    Raises:
        InputError: the address of the machine of rank 0 is not known.
        UserError: the port is in use, or is no port.
    """
    size = len(places)
    if len(mine) == size:
        return local_scheduler(size)
    port = need_count("MS_SCHED_PORT", os.environ.get("MS_SCHED_PORT") or PORT)
    is_here = mine[0].rank == 0
    if is_here:
        msrun.need_free_port(port, "MS_SCHED_PORT")
    # The address of a ModelArts container may differ from its server's.
    first = (os.environ.get("VC_WORKER_HOSTS") or places[0].server).split(",")[0]
    try:
        return Scheduler(size, socket.gethostbyname(first), port, is_here)
    except OSError:
        raise InputError(first, "has rank 0, and this machine finds no address of it") from None
