"""What started this process, read from its environment. Pure Python.

Three ways to start the processes of one training are known:

    cluster      MindSpore's own, without a rank table, by msrun or scripts/: MS_ROLE, MS_WORKER_NUM, MS_NODE_ID, MS_SCHED_HOST
    mpirun       OpenMPI: OMPI_COMM_WORLD_SIZE, _RANK, _LOCAL_RANK
    rank table   Ascend: RANK_TABLE_FILE, RANK_ID, RANK_SIZE, DEVICE_ID (ModelArts: ASCEND_DEVICE_ID)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping

from dlinknet.devices.rank_table import read_rank_table
from dlinknet.errors import UserError


@dataclass(frozen=True)
class Launch:
    """One of the processes of a training."""

    way: str  # 'cluster', 'mpirun' or 'rank table'
    size: int  # how many there are
    device_id: (
        int | None
    )  # which Ascend or GPU of this machine is this process's; None where the launcher says nothing
    schedules: bool = False  # it only brings the others together and computes nothing
    table: str = ""  # the rank table, as the environment names it


def launched(environment: Mapping[str, str]) -> Launch | None:
    """What the environment says; None where no launcher started this process.

    Raises:
        UserError: a variable that belongs to the others is missing or no number.
    """

    def number(*names: str) -> int:
        name = next((name for name in names if environment.get(name)), None)
        if name is None:
            raise UserError(
                f"run_distribute: {names[0]} is not in the environment, which the launcher of the processes sets"
            )
        if not environment[name].isdigit():
            raise UserError(
                f"run_distribute: {name} in the environment must be a whole number, not '{environment[name]}'"
            )
        return int(environment[name])

    def device(*names: str) -> int | None:
        return number(*names) if any(environment.get(name) for name in names) else None

    if environment.get("MS_ROLE"):
        return Launch(
            "cluster",
            number("MS_WORKER_NUM"),
            device("DEVICE_ID"),
            environment["MS_ROLE"] == "MS_SCHED",
        )
    if environment.get("OMPI_COMM_WORLD_SIZE"):
        return Launch(
            "mpirun", number("OMPI_COMM_WORLD_SIZE"), number("OMPI_COMM_WORLD_LOCAL_RANK")
        )
    table = environment.get("RANK_TABLE_FILE") or environment.get("MINDSPORE_HCCL_CONFIG_PATH")
    if table and environment.get("RANK_ID"):
        places = read_rank_table(table)
        rank = number("RANK_ID")
        mine = next((place for place in places if place.rank == rank), None)
        if mine is None:
            raise UserError(
                f"run_distribute: {table} has no rank {rank} (RANK_ID), it has {len(places)} ranks"
            )
        found = device("DEVICE_ID", "ASCEND_DEVICE_ID")
        return Launch(
            "rank table", len(places), mine.device if found is None else found, table=table
        )
    return None


def writes(environment: Mapping[str, str]) -> bool:
    """Whether this process is the one of a launch that writes files, as far as the environment says: rank 0, or one alone."""
    if environment.get("MS_ROLE") == "MS_SCHED":
        return False
    rank = next(
        (
            environment[name]
            for name in ("RANK_ID", "OMPI_COMM_WORLD_RANK", "MS_NODE_ID")
            if environment.get(name)
        ),
        "0",
    )
    return rank == "0"
