"""What launchers say in the environment, and rank tables in the formats of the Ascend tools."""
import json

import pytest

from dlinknet import launcher
from dlinknet.errors import UserError
from dlinknet.launcher import Launch, Place, launched, make_rank_table, places_here, read_rank_table
from tests.conftest import command, refused


def table(servers, **more):
    """A rank table of {server: [(rank, device), ...]}."""
    return {"version": "1.0", "server_count": str(len(servers)), "status": "completed", "server_list": [
        {"server_id": server, "host_nic_ip": "reserve", "device": [
            {"device_id": str(device), "device_ip": f"192.1.{device}.{rank}", "rank_id": str(rank)} for rank, device in places]}
        for server, places in servers.items()], **more}


@pytest.fixture
def write(tmp_path):
    def write(content):
        file = tmp_path / "table.json"
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(file)
    return write


def test_nothing_is_said_where_nobody_launched():
    assert launched({}) is None
    assert launched({"RANK_TABLE_FILE": "/left/from/another/job.json", "DEVICE_ID": "3"}) is None


def test_msrun_and_mpirun():
    msrun = {"MS_ROLE": "MS_WORKER", "MS_WORKER_NUM": "4", "MS_NODE_ID": "2", "RANK_ID": "2", "DEVICE_ID": "1"}
    assert launched(msrun) == Launch("cluster", 4, 1)
    assert launched({"MS_ROLE": "MS_SCHED", "MS_WORKER_NUM": "4", "RANK_ID": "0"}) == Launch("cluster", 4, None, True)
    assert launched({"OMPI_COMM_WORLD_SIZE": "8", "OMPI_COMM_WORLD_RANK": "6", "OMPI_COMM_WORLD_LOCAL_RANK": "2"}) == Launch(
        "mpirun", 8, 2)
    with pytest.raises(UserError, match="MS_WORKER_NUM is not in the environment"):
        launched({"MS_ROLE": "MS_WORKER"})
    with pytest.raises(UserError, match="MS_WORKER_NUM in the environment must be a whole number, not 'many'"):
        launched({"MS_ROLE": "MS_WORKER", "MS_WORKER_NUM": "many"})


def test_a_rank_table_says_how_many_and_which_device(write):
    file = write(table({"10.0.0.1": [(1, 5), (0, 4)], "10.0.0.2": [(2, 4), (3, 5)]}))
    assert read_rank_table(file) == [Place(0, "10.0.0.1", 4), Place(1, "10.0.0.1", 5), Place(2, "10.0.0.2", 4),
                                     Place(3, "10.0.0.2", 5)]
    assert launched({"RANK_TABLE_FILE": file, "RANK_ID": "3"}) == Launch("rank table", 4, 5)
    assert launched({"MINDSPORE_HCCL_CONFIG_PATH": file, "RANK_ID": "0", "ASCEND_DEVICE_ID": "7"}) == Launch("rank table", 4, 7)
    assert launched({"RANK_TABLE_FILE": file, "RANK_ID": "1", "DEVICE_ID": "0", "ASCEND_DEVICE_ID": "7"}).device_id == 0
    with pytest.raises(UserError, match="has no rank 4 .*it has 4 ranks"):
        launched({"RANK_TABLE_FILE": file, "RANK_ID": "4"})


@pytest.mark.parametrize("content, words", [
    ("{", "is not one"), ({"group_list": []}, "is not one"), ([], "is not one"),
    (table({"s": [(0, 0)]}, status="initializing"), "says 'initializing', not 'completed'"),
    (table({"s": [(0, 0), (2, 1)]}), "must be 0, 1, 2"), (table({}), "must be 0, 1, 2"),
    (table({"s": [(0, 0), (1, 0)]}), "names a device twice")])
def test_a_rank_table_that_is_none_is_one_line(write, content, words):
    with pytest.raises(UserError, match=words):
        read_rank_table(write(content))
    with pytest.raises(UserError, match="cannot read /no/such"):
        read_rank_table("/no/such")


def test_which_ranks_run_here(write, monkeypatch):
    monkeypatch.setattr(launcher, "addresses", lambda: {"here", "10.0.0.2"})
    one, two = table({"10.9.9.9": [(0, 0), (1, 1)]}), table({"10.0.0.1": [(0, 0)], "10.0.0.2": [(1, 0), (2, 1)]})
    assert [place.rank for place in places_here(read_rank_table(write(one)), "f")] == [0, 1], "one server is this one"
    assert [place.rank for place in places_here(read_rank_table(write(two)), "f")] == [1, 2]
    monkeypatch.setattr(launcher, "addresses", lambda: {"elsewhere"})
    with pytest.raises(UserError, match=r"none of the servers in f \(10.0.0.1, 10.0.0.2\) is this machine \(elsewhere\)"):
        places_here(read_rank_table(write(two)), "f")


def test_a_table_is_made_from_hccn_conf(tmp_path, monkeypatch):
    conf = tmp_path / "hccn.conf"
    conf.write_text("address_0=192.168.100.100\nnetmask_0=255.255.255.0\naddress_1=192.168.101.100\n# address_2=1.1.1.1\n"
                    "address_10=192.168.110.100\n")
    monkeypatch.setattr(launcher, "HCCN_CONF", conf)
    monkeypatch.setattr(launcher, "HCCN_TOOL", "no-such-tool")
    file = tmp_path / "new folder" / "table.json"
    places = make_rank_table(str(file), "0-1,10", "10.0.0.7")
    assert places == [Place(0, "10.0.0.7", 0), Place(1, "10.0.0.7", 1), Place(2, "10.0.0.7", 10)]
    assert json.loads(file.read_text()) == {
        "version": "1.0", "server_count": "1", "status": "completed", "server_list": [{
            "server_id": "10.0.0.7", "host_nic_ip": "reserve", "device": [
                {"device_id": "0", "device_ip": "192.168.100.100", "rank_id": "0"},
                {"device_id": "1", "device_ip": "192.168.101.100", "rank_id": "1"},
                {"device_id": "10", "device_ip": "192.168.110.100", "rank_id": "2"}]}]}
    with pytest.raises(UserError, match="table.json exists"):
        make_rank_table(str(file), "0", "")
    with pytest.raises(UserError, match="device 2 is not known: hccn_tool is not on PATH, and .*hccn.conf has no address_2"):
        make_rank_table(str(tmp_path / "b.json"), "2", "")
    monkeypatch.setattr(launcher, "HCCN_CONF", tmp_path / "none")
    with pytest.raises(UserError, match="device 0 is not known: .*cannot be read"):
        make_rank_table(str(tmp_path / "b.json"), "0", "")
    assert not (tmp_path / "b.json").exists()


def test_a_table_is_made_from_hccn_tool(tmp_path, monkeypatch):
    """A stand-in that answers as the driver's tool does, for devices 4 and 5."""
    tool = tmp_path / "hccn_tool"
    tool.write_text('#!/bin/sh\n[ "$1 $3 $4" = "-i -ip -g" ] || exit 1\n[ "$2" -lt 6 ] || { echo "no device"; exit 1; }\n'
                    'echo "ipaddr:192.168.10$2.101"\necho "netmask:255.255.255.0"\n')
    tool.chmod(0o755)
    monkeypatch.setattr(launcher, "HCCN_TOOL", str(tool))
    monkeypatch.setattr(launcher, "HCCN_CONF", tmp_path / "none")
    make_rank_table(str(tmp_path / "t.json"), "4,5", "s")
    listed = json.loads((tmp_path / "t.json").read_text())["server_list"][0]["device"]
    assert [(d["device_id"], d["device_ip"]) for d in listed] == [("4", "192.168.104.101"), ("5", "192.168.105.101")]
    with pytest.raises(UserError, match=r"device 6 is not known: hccn_tool says nothing of it \(no device\)"):
        make_rank_table(str(tmp_path / "u.json"), "6", "s")


@pytest.mark.parametrize("devices", ["0,0", "a", "3-1", "", "1-", "-1", "0,,1"])
def test_devices_that_are_not_understood(tmp_path, devices):
    with pytest.raises(UserError, match="^devices must "):
        make_rank_table(str(tmp_path / "t.json"), devices, "s")


def test_the_command(write, tmp_path):
    file = write(table({"10.0.0.1": [(0, 4), (1, 5)]}))
    result = command("rank_table.py", f"--rank_table={file}")
    assert result.returncode == 0 and result.stdout.splitlines() == ["rank 0 of 2 on device 4", "rank 1 of 2 on device 5"]
    refused(command("rank_table.py"), "rank_table is empty")
    refused(command("rank_table.py", "--devices=all", f"--rank_table={tmp_path}/n.json"), "this machine has no Ascend")
