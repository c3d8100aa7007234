"""The variables of the environment that name a device or a rank table."""

import os

import pytest

from dlinknet.devices.environment import device_of_environment, set_rank_table
from dlinknet.errors import InputError


def test_the_device_of_the_environment():
    assert device_of_environment({}) == 0
    assert device_of_environment({"ASCEND_DEVICE_ID": "5"}) == 5
    assert device_of_environment({"ASCEND_DEVICE_ID": "5", "DEVICE_ID": "3"}) == 3
    with pytest.raises(InputError, match="^DEVICE_ID in the environment must be a whole number"):
        device_of_environment({"DEVICE_ID": "npu3"})


def test_only_a_process_of_a_rank_table_keeps_it(monkeypatch):
    """MindSpore compiles for another backend if it sees a rank table."""
    monkeypatch.setenv("RANK_TABLE_FILE", "/of/a/job.json")
    monkeypatch.setenv("MINDSPORE_HCCL_CONFIG_PATH", "/of/a/job.json")
    set_rank_table("")
    assert not {"RANK_TABLE_FILE", "MINDSPORE_HCCL_CONFIG_PATH"} & os.environ.keys()
    # MindSpore prefers the second variable, which may name a table that HCCL cannot read.
    monkeypatch.setenv("MINDSPORE_HCCL_CONFIG_PATH", "/of/a/folder")
    set_rank_table("/tmp/translated.json")
    assert os.environ["RANK_TABLE_FILE"] == "/tmp/translated.json"
    assert "MINDSPORE_HCCL_CONFIG_PATH" not in os.environ
