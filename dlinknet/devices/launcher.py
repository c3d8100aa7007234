"""Find out from the environment which launcher started this process. Pure Python.

Three ways to start the processes of one training are known, by these variables:

    cluster      MindSpore's scheduler, without a rank table, by msrun or scripts/: MS_ROLE,
                 MS_WORKER_NUM, MS_NODE_ID, MS_SCHED_HOST
    mpirun       OpenMPI: OMPI_COMM_WORLD_SIZE, _RANK, _LOCAL_RANK
    rank table   Ascend: RANK_TABLE_FILE, RANK_ID, RANK_SIZE, DEVICE_ID
                 (ModelArts: ASCEND_DEVICE_ID)
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass

from dlinknet.devices.environment import DEVICE, TABLE, device, number
from dlinknet.devices.rank_table import for_hccl, read_rank_table
from dlinknet.errors import InputError


@dataclass(frozen=True)
class Launch:
    """One of the processes of a training.

    way: 'cluster', 'mpirun' or 'rank table'.
    size: the number of processes.
    device_id: the Ascend or GPU of this machine that belongs to this process; None if the launcher
        does not name one.
    schedules: whether this process only connects the others, and computes nothing.
    table: the rank table's file, or its folder; '' for the other ways.
    """

    way: str
    size: int
    device_id: int | None
    schedules: bool = False
    table: str = ""


def launched(environment: Mapping[str, str]) -> Launch | None:
    """Return the launch that the environment describes; None if no launcher started this process.

    Raises:
        InputError: a variable of the launcher is missing or is no number, or the rank table cannot
            be used.
    """
    if environment.get("MS_ROLE"):
        return Launch(
            "cluster",
            number(environment, "MS_WORKER_NUM"),
            device(environment, "DEVICE_ID"),
            environment["MS_ROLE"] == "MS_SCHED",
        )
    if environment.get("OMPI_COMM_WORLD_SIZE"):
        size = number(environment, "OMPI_COMM_WORLD_SIZE")
        return Launch("mpirun", size, number(environment, "OMPI_COMM_WORLD_LOCAL_RANK"))
    table = next((environment[name] for name in TABLE if environment.get(name)), "")
    if not (table and environment.get("RANK_ID")):
        return None
    places = read_rank_table(table)
    rank = number(environment, "RANK_ID")
    mine = next((place for place in places if place.rank == rank), None)
    if mine is None:
        raise InputError(table, f"has no rank {rank} (RANK_ID), it has {len(places)} ranks")
    found = device(environment, *DEVICE)
    return Launch("rank table", len(places), mine.device if found is None else found, table=table)


def find_launch(environment: Mapping[str, str] = os.environ) -> Launch:
    """Return the launch that the environment describes, with a rank table that HCCL reads.

    Raises:
        InputError: no launcher started this process, or launched() rejects the environment.
    """
    launch = launched(environment)
    if launch is None:
        raise InputError(
            "no launcher",
            "started this process (neither MS_ROLE, OMPI_COMM_WORLD_SIZE nor RANK_TABLE_FILE with "
            "RANK_ID is in the environment): use scripts/run_distribute_*_train.sh or msrun, or "
            "set it to False for one process",
        )
    table = for_hccl(launch.table) if launch.table else ""
    return dataclasses.replace(launch, table=table)


def reject_unlaunched_rank(distribute: bool, environment: Mapping[str, str] = os.environ) -> None:
    """Check that this process does not train alone beside others of its launch.

    Args:
        distribute: whether this process will connect to the others.

    Raises:
        InputError: a launcher started several processes, and this one would train alone.
    """
    try:
        launch = None if distribute else launched(environment)
    except InputError:
        return  # variables that an earlier job has left
    if launch is not None and launch.size > 1:
        raise InputError(
            "",
            f"is False, but {launch.size} processes were started ({launch.way}), each of which "
            "would train on its own into the same files: set it to True",
        )


def writes(environment: Mapping[str, str]) -> bool:
    """Return whether this process writes the files of its launch: rank 0, or a single process.

    The environment says it before the processes connect.
    """
    if environment.get("MS_ROLE") == "MS_SCHED":
        return False
    names = ("RANK_ID", "OMPI_COMM_WORLD_RANK", "MS_NODE_ID")
    return next((environment[name] for name in names if environment.get(name)), "0") == "0"
