"""Rank tables that are made for one server."""

import json
import time

import pytest

from dlinknet.commands import rank_table as command
from dlinknet.devices import server_rank_table
from dlinknet.devices.rank_table import RankDevice
from dlinknet.devices.server_rank_table import find_devices, make_rank_table
from dlinknet.errors import InputError, UserError


def make(file, devices, server_ip):
    return make_rank_table(file, find_devices(devices), server_ip)


def test_a_table_is_made_from_hccn_conf(tmp_path, monkeypatch):
    conf = tmp_path / "hccn.conf"
    conf.write_text(
        "address_0=192.168.100.100\nnetmask_0=255.255.255.0\n"
        "address_1=192.168.101.100\n# address_2=1.1.1.1\n"
        "address_10=192.168.110.100\n"
    )
    monkeypatch.setattr(server_rank_table, "HCCN_CONF", conf)
    monkeypatch.setattr(server_rank_table, "HCCN_TOOL", "no-such-tool")
    file = tmp_path / "new folder" / "table.json"
    places = make(str(file), "0-1,10", "10.0.0.7")
    assert places == [
        RankDevice(0, "10.0.0.7", 0),
        RankDevice(1, "10.0.0.7", 1),
        RankDevice(2, "10.0.0.7", 10),
    ]
    assert json.loads(file.read_text()) == {
        "version": "1.0",
        "server_count": "1",
        "status": "completed",
        "server_list": [
            {
                "server_id": "10.0.0.7",
                "host_nic_ip": "reserve",
                "device": [
                    {"device_id": "0", "device_ip": "192.168.100.100", "rank_id": "0"},
                    {"device_id": "1", "device_ip": "192.168.101.100", "rank_id": "1"},
                    {"device_id": "10", "device_ip": "192.168.110.100", "rank_id": "2"},
                ],
            }
        ],
    }
    with pytest.raises(InputError, match="table.json exists"):
        make(str(file), "0", "")
    with pytest.raises(
        InputError,
        match="device 2 is not known: hccn_tool is not on PATH, and .*hccn.conf has no address_2",
    ):
        make(str(tmp_path / "b.json"), "2", "")
    monkeypatch.setattr(server_rank_table, "HCCN_CONF", tmp_path / "none")
    with pytest.raises(InputError, match="device 0 is not known: .*cannot be read"):
        make(str(tmp_path / "b.json"), "0", "")
    assert not (tmp_path / "b.json").exists()


def test_a_table_is_made_from_hccn_tool(tmp_path, monkeypatch):
    """A stand-in answers as the driver's tool does, for devices 4 and 5."""
    tool = tmp_path / "hccn_tool"
    tool.write_text(
        '#!/bin/sh\n[ "$1 $3 $4" = "-i -ip -g" ] || exit 1\n'
        '[ "$2" -lt 6 ] || { echo "no device"; exit 1; }\n'
        'echo "ipaddr:192.168.10$2.101"\necho "netmask:255.255.255.0"\n'
    )
    tool.chmod(0o755)
    monkeypatch.setattr(server_rank_table, "HCCN_TOOL", str(tool))
    monkeypatch.setattr(server_rank_table, "HCCN_CONF", tmp_path / "none")
    make(str(tmp_path / "t.json"), "4,5", "s")
    listed = json.loads((tmp_path / "t.json").read_text())["server_list"][0]["device"]
    assert [(d["device_id"], d["device_ip"]) for d in listed] == [
        ("4", "192.168.104.101"),
        ("5", "192.168.105.101"),
    ]
    with pytest.raises(
        InputError, match=r"device 6 is not known: hccn_tool does not report it \(no device\)"
    ):
        make(str(tmp_path / "u.json"), "6", "s")


@pytest.mark.parametrize(
    "devices", ["0,0", "a", "3-1", "", "1-", "-1", "0,,1", "１", "9" * 5000, "0," * 100_000]
)
def test_devices_that_are_not_understood(devices):
    with pytest.raises(InputError, match="^the value must "):
        find_devices(devices)


@pytest.mark.parametrize(
    "devices", ["0-99999999999", "0-4096", "0-4000,4001-4100", "1-99999999999999999999"]
)
def test_more_devices_than_there_can_be_are_refused_at_once(devices):
    start = time.monotonic()
    words = f"^the value must name at most 4096 devices, not '{devices}'$"
    with pytest.raises(InputError, match=words):
        find_devices(devices)
    assert time.monotonic() - start < 1


def test_places_where_no_table_can_be_made(tmp_path):
    (tmp_path / "broken").symlink_to("none")
    for file, words in (
        ("broken", "broken exists"),
        ("broken/t.json", "cannot follow the link"),
        ("n" * 300, "has a name of more than 255 bytes"),
    ):
        with pytest.raises(InputError, match=words):
            make_rank_table(str(tmp_path / file), {0: "1.1.1.1"}, "s")
    with pytest.raises(InputError, match="cannot write to /proc"):
        make_rank_table("/proc/t.json", {0: "1.1.1.1"}, "s")


def test_the_command_names_the_setting_that_is_wrong(tmp_path):
    file = tmp_path / "t.json"
    file.write_text("{}")
    for words, arguments in (
        ("devices must name each device once, not '0,0'", ["--devices=0,0"]),
        (
            "devices: the address of device 0 is not known: hccn_tool is not on PATH",
            ["--devices=0"],
        ),
        (f"rank_table: the rank table {file} is not valid: it requires server_list", []),
    ):
        with pytest.raises(UserError, match=f"^{words}"):
            command.main([f"--rank_table={file}", *arguments])
