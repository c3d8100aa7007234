"""run_distribute_*_train.sh: one training in several processes on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from dlinknet.devices.available import installed_version
from dlinknet.devices.environment import set_rank_table
from dlinknet.errors import UserError, naming
from dlinknet.launching import msrun
from dlinknet.launching.log_folders import here, hold, make_rank_folders
from dlinknet.launching.processes import go_to_background, python_command
from dlinknet.launching.scheduler import PORT, Scheduler, local_scheduler, scheduler_of_table
from dlinknet.launching.script_arguments import (
    Arguments,
    need_count,
    need_file,
    need_folder,
    need_mindspore,
    need_number,
)
from dlinknet.launching.supervisor import Supervisor, say

STOP_SECONDS = 5.0  # between asking a process to end and killing it
UPLOAD_SECONDS = 60.0  # the same in a ModelArts job: rank 0 copies its last checkpoint to OBS
OWN_CLUSTER = (2, 3)  # the first MindSpore whose msrun starts Ascends without a rank table


def train(device: str, asked: Arguments) -> None:
    """Train on several devices of one kind, or in the processes that msrun starts."""
    run = {"Ascend": _on_ascends, "GPU": _on_gpus, "CPU": _on_cpu, "msrun": _by_msrun}[device]
    run(asked)


def _on_ascends(asked: Arguments) -> None:
    table, dataset, config = asked.words
    if not os.path.exists(table):
        raise UserError(f"RANK_TABLE_FILE: there is no file {table}")
    _need_data(dataset, config)
    need_mindspore()
    # Without this import, the other scripts need no further package.
    from dlinknet.devices.rank_table import places_here, read_rank_table

    table = str(here() / table)
    with naming("RANK_TABLE_FILE"):
        places = read_rank_table(table)
        mine = places_here(places, table)
    command = [*_training(dataset, config, asked), "--device_target=Ascend"]
    version = installed_version()
    if version and version < OWN_CLUSTER:
        say("the processes start from the rank table, as this MindSpore requires")
        shared = {"RANK_TABLE_FILE": table, "RANK_SIZE": str(len(places))}
        ranks = {
            place.rank: {**shared, "RANK_ID": str(place.rank), "DEVICE_ID": str(place.device)}
            for place in mine
        }
        _run_ranks(asked, command, ranks, len(places))
        return
    with naming("RANK_TABLE_FILE"):
        scheduler = scheduler_of_table(places, mine)
    say(
        "the processes start as those of msrun, on the devices of the rank table; "
        f"their scheduler: {scheduler.host}:{scheduler.port}"
    )
    _run_cluster(asked, command, scheduler, {place.rank: place.device for place in mine})


def _on_gpus(asked: Arguments) -> None:
    dataset, config, number, devices = asked.words
    _need_data(dataset, config)
    size = need_count("DEVICE_NUM", number)
    named = sum(map(bool, devices.split(",")))
    if named < size:
        raise UserError(
            f"CUDA_VISIBLE_DEVICES names {named} GPUs ({devices}), DEVICE_NUM is {size}"
        )
    need_mindspore()
    command = [*_training(dataset, config, asked), "--device_target=GPU"]
    _run_cluster(asked, command, local_scheduler(size), CUDA_VISIBLE_DEVICES=devices)


def _on_cpu(asked: Arguments) -> None:
    dataset, config, number = asked.words
    _need_data(dataset, config)
    size = need_count("WORKER_NUM", number)
    need_mindspore()
    command = [*_training(dataset, config, asked), "--device_target=CPU"]
    _run_cluster(asked, command, local_scheduler(size))


def _by_msrun(asked: Arguments) -> None:
    dataset, config, *words = asked.words
    words = words or _words_of_modelarts()
    if len(words) not in (1, 5):
        raise UserError("LOCAL_WORKER_NUM, MASTER_ADDR, MASTER_PORT and NODE_RANK go together")
    _need_data(dataset, config)
    cluster = _cluster(words)
    need_mindspore()
    program = msrun.find_msrun()
    if cluster.node == 0:
        msrun.need_free_port(cluster.port)
    command = _training(dataset, config, asked)[1:]  # msrun runs the Python on PATH

    lock = hold("LOG", "a training")
    make_rank_folders(cluster.ranks(), cluster.size, asked.resumes)
    folder = msrun.make_log_folder(cluster.ranks())

    def run() -> None:
        hint = f"; the logs of msrun and its scheduler: {folder}"
        with Supervisor(_stop_seconds(asked), lock, hint) as supervisor:
            msrun.start_ranks(supervisor, program, cluster, folder, command)
            supervisor.watch()

    _supervise(asked, cluster.here, folder / "launch.log", run)


def _words_of_modelarts() -> list[str]:
    """Return WORKER_NUM to NODE_RANK from the environment of a ModelArts container."""
    if not os.environ.get("MA_NUM_GPUS"):
        raise UserError("WORKER_NUM is missing, and no ModelArts job sets MA_NUM_GPUS")
    each = need_count("MA_NUM_GPUS", os.environ["MA_NUM_GPUS"])
    machines = need_count("MA_NUM_HOSTS", os.environ.get("MA_NUM_HOSTS") or "1")
    address = (os.environ.get("VC_WORKER_HOSTS") or "127.0.0.1").split(",")[0]
    node = os.environ.get("VC_TASK_INDEX") or "0"
    return [str(machines * each), str(each), address, PORT, node]


def _cluster(words: list[str]) -> msrun.Cluster:
    """Return the cluster that WORKER_NUM, or WORKER_NUM to NODE_RANK, describe."""
    size = need_count("WORKER_NUM", words[0])
    if len(words) == 1:
        return msrun.Cluster(size, size, 0, "127.0.0.1", msrun.free_port())
    each = need_count("LOCAL_WORKER_NUM", words[1])
    node = need_number("NODE_RANK", words[4])
    if (node + 1) * each > size:
        raise UserError(
            f"LOCAL_WORKER_NUM={each} and NODE_RANK={node} go beyond WORKER_NUM={size}: "
            f"ranks count from 0 to {size - 1}"
        )
    return msrun.Cluster(size, each, node, words[2], need_count("MASTER_PORT", words[3]))


def _need_data(dataset: str, config: str) -> None:
    need_folder("DATASET", dataset)
    need_file("CONFIG_PATH", config)


def _training(dataset: str, config: str, asked: Arguments) -> list[str]:
    """Return the command of each process."""
    return [
        *python_command("train.py"),
        f"--data_path={dataset}",
        f"--config_path={config}",
        f"--output_path={here()}/LOG0/output",
        "--run_distribute=True",
        *asked.settings,
    ]


def _stop_seconds(asked: Arguments) -> float:
    is_job = any(setting.startswith("--enable_modelarts=") for setting in asked.settings)
    return UPLOAD_SECONDS if is_job else STOP_SECONDS


def _run_cluster(
    asked: Arguments,
    command: list[str],
    scheduler: Scheduler,
    devices: Mapping[int, int] | None = None,
    **environment: str,
) -> None:
    """Run the ranks of this machine, connected by MindSpore's scheduler.

    Args:
        devices: the device of each rank of this machine; None if all ranks run here, each on the
            device of its own number.
        environment: further variables for all processes.
    """
    set_rank_table("")
    if devices is None:
        devices = {rank: rank for rank in range(scheduler.size)}
    shared = {**environment, **scheduler.environment()}
    ranks = {
        rank: {
            **shared,
            "MS_ROLE": "MS_WORKER",
            "DEVICE_ID": str(device),
            **dict.fromkeys(("MS_NODE_ID", "RANK_ID"), str(rank)),
        }
        for rank, device in devices.items()
    }
    connecting = {**shared, "MS_ROLE": "MS_SCHED"} if scheduler.here else None
    _run_ranks(asked, command, ranks, scheduler.size, connecting)


def _run_ranks(
    asked: Arguments,
    command: list[str],
    ranks: Mapping[int, Mapping[str, str]],
    size: int,
    scheduler: Mapping[str, str] | None = None,
) -> None:
    """Run the ranks of this machine.

    Args:
        ranks: the environment of each rank.
        size: the number of ranks on all machines.
        scheduler: the environment of the process that connects the ranks, if there is one.
    """
    lock = hold("LOG", "a training")
    make_rank_folders(list(ranks), size, asked.resumes)

    def run() -> None:
        with Supervisor(_stop_seconds(asked), lock) as supervisor:
            if scheduler is not None:
                log = here() / "LOG0" / "scheduler.log"
                supervisor.start_helper("the scheduler", command, log, scheduler)
            for rank, environment in ranks.items():
                supervisor.start_rank(rank, command, environment)
            supervisor.watch()

    _supervise(asked, len(ranks), here() / f"LOG{min(ranks)}" / "launch.log", run)


def _supervise(asked: Arguments, count: int, log: Path, run: Callable[[], None]) -> None:
    """Start and watch processes with `run`: in the background, or until they end.

    Args:
        log: receives the output of `run` in the background.
    """
    folder = here()
    say(
        f"{count} processes; logs: {folder}/LOG[i]/log.log, "
        f"checkpoints of rank 0: {folder}/LOG0/output"
    )
    if not asked.waits:
        pid = go_to_background(log)
        if pid:
            say(f"running in the background; kill {pid} stops all of them; how they ended: {log}")
            return
    run()
    say("all processes are done")
