"""The variables that launchers set in the environment."""

import json
from pathlib import Path

import pytest

from dlinknet.devices.launcher import (
    Launch,
    find_launch,
    launched,
    reject_unlaunched_rank,
    writes,
)
from dlinknet.errors import InputError, UserError, naming
from tests.devices.test_rank_table import table, write  # noqa: F401  (write is a fixture)


def test_nothing_is_said_where_nobody_launched():
    assert launched({}) is None
    assert launched({"RANK_TABLE_FILE": "/left/from/another/job.json", "DEVICE_ID": "3"}) is None


def test_msrun_and_mpirun():
    msrun = {
        "MS_ROLE": "MS_WORKER",
        "MS_WORKER_NUM": "4",
        "MS_NODE_ID": "2",
        "RANK_ID": "2",
        "DEVICE_ID": "1",
    }
    assert launched(msrun) == Launch("cluster", 4, 1)
    assert launched({"MS_ROLE": "MS_SCHED", "MS_WORKER_NUM": "4", "RANK_ID": "0"}) == Launch(
        "cluster", 4, None, True
    )
    assert launched(
        {
            "OMPI_COMM_WORLD_SIZE": "8",
            "OMPI_COMM_WORLD_RANK": "6",
            "OMPI_COMM_WORLD_LOCAL_RANK": "2",
        }
    ) == Launch("mpirun", 8, 2)
    with pytest.raises(InputError, match="MS_WORKER_NUM is not in the environment"):
        launched({"MS_ROLE": "MS_WORKER"})
    with pytest.raises(
        InputError, match="MS_WORKER_NUM in the environment must be a whole number, not 'many'"
    ):
        launched({"MS_ROLE": "MS_WORKER", "MS_WORKER_NUM": "many"})


def test_a_rank_table_says_how_many_and_which_device(write):  # noqa: F811
    file = write(table({"10.0.0.1": [(1, 5), (0, 4)], "10.0.0.2": [(2, 4), (3, 5)]}))
    assert launched({"RANK_TABLE_FILE": file, "RANK_ID": "3"}) == Launch(
        "rank table", 4, 5, table=file
    )
    assert launched(
        {"MINDSPORE_HCCL_CONFIG_PATH": file, "RANK_ID": "0", "ASCEND_DEVICE_ID": "7"}
    ) == Launch("rank table", 4, 7, table=file)
    assert (
        launched(
            {"RANK_TABLE_FILE": file, "RANK_ID": "1", "DEVICE_ID": "0", "ASCEND_DEVICE_ID": "7"}
        ).device_id
        == 0
    )
    with pytest.raises(InputError, match="has no rank 4 .*it has 4 ranks"):
        launched({"RANK_TABLE_FILE": file, "RANK_ID": "4"})


def test_one_of_them_writes_the_files():
    assert (
        writes({})
        and writes({"RANK_ID": "0"})
        and writes({"OMPI_COMM_WORLD_RANK": "0"})
        and writes({"MS_NODE_ID": "0"})
    )
    assert not writes({"RANK_ID": "3"}) and not writes({"OMPI_COMM_WORLD_RANK": "1"})
    assert not writes({"MS_ROLE": "MS_SCHED", "RANK_ID": "0"})


def test_processes_of_a_launcher_are_not_taken_for_one():
    several = {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_LOCAL_RANK": "1"}
    with (
        pytest.raises(
            UserError, match=r"^run_distribute is False, but 4 processes were started \(mpirun\)"
        ),
        naming("run_distribute"),
    ):
        reject_unlaunched_rank(False, several)
    reject_unlaunched_rank(True, several)
    reject_unlaunched_rank(False, {**several, "OMPI_COMM_WORLD_SIZE": "1"})
    reject_unlaunched_rank(False, {"RANK_TABLE_FILE": "/gone/table.json", "RANK_ID": "3"})


def test_without_a_launcher_there_are_no_others():
    with pytest.raises(InputError, match="^no launcher started this process"):
        find_launch({})


def test_a_launch_has_the_rank_table_that_hccl_reads(write):  # noqa: F811
    pod = {"pod_name": "job-0", "server_id": "s", "devices": [{"device_id": "5", "device_ip": ""}]}
    content = {"status": "completed", "group_list": [{"instance_list": [pod]}]}
    environment = {"RANK_TABLE_FILE": write(content), "RANK_ID": "0"}
    launch = find_launch(environment)
    assert launched(environment).table == environment["RANK_TABLE_FILE"]
    assert "server_list" in json.loads(Path(launch.table).read_text()) and launch.device_id == 5
    Path(launch.table).unlink()
