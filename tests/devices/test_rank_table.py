"""Rank tables in the formats of the Ascend tools and of ModelArts."""

import json
import os
import tempfile
import threading
import time
from pathlib import Path

import pytest

from dlinknet.devices import rank_table
from dlinknet.devices.launcher import Launch, launched
from dlinknet.devices.rank_table import RankDevice, for_hccl, places_here, read_rank_table
from dlinknet.errors import InputError
from tests.conftest import call, refused


def table(servers, **more):
    """Return a rank table of {server: [(rank, device), ...]}."""
    return {
        "version": "1.0",
        "server_count": str(len(servers)),
        "status": "completed",
        "server_list": [
            {
                "server_id": server,
                "host_nic_ip": "reserve",
                "device": [
                    {
                        "device_id": str(device),
                        "device_ip": f"192.1.{device}.{rank}",
                        "rank_id": str(rank),
                    }
                    for rank, device in places
                ],
            }
            for server, places in servers.items()
        ],
        **more,
    }


@pytest.fixture
def write(tmp_path):
    def write(content):
        file = tmp_path / "table.json"
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(file)

    return write


@pytest.mark.parametrize(
    "content, words",
    [
        ("{", "is not valid"),
        ({"group_list": [{}]}, "is not valid"),
        ([], "is not valid"),
        (table({"s": [(0, 0)]}, status="initializing"), "says 'initializing', not 'completed'"),
        (table({"s": [(0, 0), (2, 1)]}), "must be 0, 1, 2"),
        (table({}), "must be 0, 1, 2"),
        (table({"s": [(0, 0), (1, 0)]}), "names a device twice"),
    ],
)
def test_a_rank_table_that_is_none_is_one_line(write, content, words):
    with pytest.raises(InputError, match=words):
        read_rank_table(write(content))
    with pytest.raises(InputError, match="^cannot read the rank table /no/such: No such file"):
        read_rank_table("/no/such")


def test_which_ranks_run_here(write, monkeypatch):
    monkeypatch.setattr(rank_table, "addresses", lambda: {"here", "10.0.0.2"})
    one, two = (
        table({"10.9.9.9": [(0, 0), (1, 1)]}),
        table({"10.0.0.1": [(0, 0)], "10.0.0.2": [(1, 0), (2, 1)]}),
    )
    assert [place.rank for place in places_here(read_rank_table(write(one)), "f")] == [0, 1], (
        "one server is this one"
    )
    assert [place.rank for place in places_here(read_rank_table(write(two)), "f")] == [1, 2]
    monkeypatch.setattr(rank_table, "addresses", lambda: {"elsewhere"})
    with pytest.raises(
        InputError,
        match=r"^none of the servers in the rank table f \(10.0.0.1, 10.0.0.2\) is this machine "
        r"\(elsewhere\)$",
    ):
        places_here(read_rank_table(write(two)), "f")


@pytest.mark.parametrize(
    "place, value",
    [
        *(
            (place, value)
            for place in ("rank_id", "device_id")
            for value in (
                True,
                None,
                0.0,
                1.5,
                -1,
                "-1",
                "",
                "0x1",
                "１",
                "1" * 10,
                10**12,
                [0],
                {},
            )
        ),
        *(("server_id", value) for value in (True, None, 7, "", "s" * 256, ["s"], {})),
    ],
)
def test_values_of_other_types_are_refused(write, place, value):
    """Examples: a rank that is true, half a device, a server without a name."""
    content = table({"s": [(0, 0), (1, 1)]})
    server = content["server_list"][0]
    (server if place == "server_id" else server["device"][1])[place] = value
    with pytest.raises(InputError, match="is not valid: it requires server_list with server_id"):
        read_rank_table(write(content))


@pytest.mark.parametrize(
    "text, words",
    [
        ("[" * 50_000, "more than 20 levels"),
        ("9" * 5000, "more than 40 digits"),
        ('{"a": "\\ud800"}', "surrogate"),
        (json.dumps(table({"s": [(0, 0)]})).replace('"0"', "1e400", 1), "not a finite number"),
        ("version https://git-lfs", "is a Git LFS pointer"),
        ("", "is empty|not JSON"),
        ("<html>", "is a web page"),
        ('{"server_list": 7}', "requires server_list"),
        ('{"server_list": [{"server_id": "s", "device": "ab"}]}', "requires server_list"),
        ('{"status": {"a": [1]}}', "says {'a': .1.}, not 'completed'"),
        (json.dumps({"status": "x" * 5000}), "says 'xxx"),
        ('{"group_list": {"a": 1}}', "is not valid"),
        ('{"group_list": [[1]]}', "is not valid"),
    ],
)
def test_a_rank_table_that_is_broken_is_one_short_line(write, text, words):
    with pytest.raises(InputError, match=words) as error:
        read_rank_table(write(text))
    assert (
        "rank table" in str(error.value)
        and len(str(error.value)) <= 300
        and "\n" not in str(error.value)
    )


def test_a_rank_table_that_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for file, words in (
        ("pipe", "pipe is no file"),
        ("loop", "Too many levels"),
        ("n" * 300, "File name too long"),
    ):
        with pytest.raises(InputError, match=f"the rank table .*{words}"):
            read_rank_table(str(tmp_path / file))
    with pytest.raises(InputError, match="/dev/zero is no file"):
        read_rank_table("/dev/zero")


def test_a_thousand_servers_that_are_elsewhere_are_a_short_line(write, monkeypatch):
    monkeypatch.setattr(rank_table, "addresses", lambda: {"here"})
    servers = {f"{'s' * 200}{number}": [(number, 0)] for number in range(1000)}
    places = read_rank_table(write(table(servers)))
    words = r"none of the servers in the rank table f \(s+\.\.\., s+\.\.\. and 998 more\)"
    with pytest.raises(InputError, match=words) as error:
        places_here(places, "f")
    assert len(str(error.value)) <= 300


def test_the_command(write, tmp_path):
    file = write(table({"10.0.0.1": [(0, 4), (1, 5)]}))
    result = call("rank-table", f"--rank_table={file}")
    assert result.returncode == 0 and result.stdout.splitlines() == [
        "rank 0 of 2 on device 4",
        "rank 1 of 2 on device 5",
    ]
    refused(call("rank-table"), "rank_table is empty")
    refused(
        call("rank-table", "--devices=all", f"--rank_table={tmp_path}/n.json"),
        "this machine has no Ascend",
    )


class TestModelArts:
    """jobstart_hccl.json, as a ModelArts container has it."""

    pods = {
        "status": "completed",
        "group_count": "1",
        "group_list": [
            {
                "group_name": "job-roads",
                "device_count": "4",
                "instance_count": "2",
                "instance_list": [
                    {
                        "pod_name": "j-job-roads-10",
                        "server_id": "10.0.0.8",
                        "devices": [
                            {"device_id": "0", "device_ip": "192.1.8.0"},
                            {"device_id": "1", "device_ip": "192.1.8.1"},
                        ],
                    },
                    {
                        "pod_name": "j-job-roads-9",
                        "server_id": "10.0.0.9",
                        "devices": [
                            {"device_id": "6", "device_ip": "192.1.9.6"},
                            {"device_id": "7", "device_ip": "192.1.9.7"},
                        ],
                    },
                ],
            }
        ],
    }

    def test_pods_become_servers_in_the_order_of_their_numbers(self, write):
        file = write(self.pods)
        assert read_rank_table(file) == [
            RankDevice(0, "10.0.0.9", 6),
            RankDevice(1, "10.0.0.9", 7),
            RankDevice(2, "10.0.0.8", 0),
            RankDevice(3, "10.0.0.8", 1),
        ]
        assert json.loads(Path(for_hccl(file)).read_text()) == {
            "version": "1.0",
            "server_count": "2",
            "status": "completed",
            "server_list": [
                {
                    "server_id": "10.0.0.9",
                    "host_nic_ip": "reserve",
                    "device": [
                        {"device_id": "6", "device_ip": "192.1.9.6", "rank_id": "0"},
                        {"device_id": "7", "device_ip": "192.1.9.7", "rank_id": "1"},
                    ],
                },
                {
                    "server_id": "10.0.0.8",
                    "host_nic_ip": "reserve",
                    "device": [
                        {"device_id": "0", "device_ip": "192.1.8.0", "rank_id": "2"},
                        {"device_id": "1", "device_ip": "192.1.8.1", "rank_id": "3"},
                    ],
                },
            ],
        }

    def test_a_table_for_hccl_stays_where_it_is(self, write):
        file = write(table({"s": [(0, 0)]}))
        assert for_hccl(file) == file

    def test_a_folder_whose_table_is_completed_later(self, tmp_path):
        """The table is missing, half written, initializing, and completed after 3 s."""
        file = tmp_path / "jobstart_hccl.json"

        def fill_in():
            for text in (
                '{"status": "init',
                '{"status": "initializing", "group_list": []}',
                json.dumps(self.pods),
            ):
                time.sleep(1)
                file.write_text(text)

        writer, start = threading.Thread(target=fill_in), time.monotonic()
        writer.start()
        launch = launched(
            {
                "RANK_TABLE_FILE": str(tmp_path),
                "RANK_ID": "1",
                "RANK_SIZE": "4",
                "ASCEND_DEVICE_ID": "1",
            }
        )
        assert 3 <= time.monotonic() - start < 5
        writer.join()
        assert launch == Launch("rank table", 4, 1, table=str(tmp_path))
        translation = Path(for_hccl(launch.table))
        assert (
            translation.parent == Path(tempfile.gettempdir())
            and read_rank_table(str(translation))[3].device == 1
        )
        translation.unlink()

    def test_one_that_is_never_completed(self, tmp_path, monkeypatch):
        monkeypatch.setattr(rank_table, "WAIT", 1)
        (tmp_path / "jobstart_hccl.json").write_text('{"status": "initializing"}')
        with pytest.raises(InputError, match="says 'initializing', not 'completed' after 1 s"):
            read_rank_table(str(tmp_path))

    @pytest.mark.parametrize(
        "damage", [{"pod_name": "no number"}, {"server_id": None, "devices": [{}]}]
    )
    def test_pods_that_are_not_understood(self, write, damage):
        pod = {**self.pods["group_list"][0]["instance_list"][0], **damage}
        with pytest.raises(InputError, match="is not valid"):
            read_rank_table(
                write({"status": "completed", "group_list": [{"instance_list": [pod]}]})
            )

    def test_a_container_knows_its_server_by_its_number(self, write, monkeypatch):
        monkeypatch.setattr(rank_table, "addresses", lambda: {"172.16.0.3"})
        monkeypatch.setenv("VC_TASK_INDEX", "1")
        places = read_rank_table(write(self.pods))
        assert [place.rank for place in places_here(places, "f")] == [2, 3]
        monkeypatch.setattr(rank_table, "addresses", lambda: {"10.0.0.9"})
        assert [place.rank for place in places_here(places, "f")] == [0, 1], (
            "an address says more than the number"
        )
        monkeypatch.setattr(rank_table, "addresses", lambda: {"172.16.0.3"})
        monkeypatch.setenv("VC_TASK_INDEX", "2")
        with pytest.raises(InputError, match="none of the servers"):
            places_here(places, "f")
