"""Rank tables of Ascends: which rank runs on which device of which server. Pure Python.

A table is a JSON file with a server_list, as HCCL takes it (version 1.0). Inside a ModelArts container it is a file
`jobstart_hccl.json`, named by itself or by its folder, that is filled in after the processes have started and may have a
group_list of pods instead (version 0.1): it is waited for, and turned into a server_list.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
import socket
import stat
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping

from dlinknet.console import LOG
from dlinknet.errors import UserError, clipped, name_some, shown
from dlinknet.files.atomic import write_text
from dlinknet.files.places import need_writable_folder, refuse_misnamed
from dlinknet.files.texts import BadText, read_json

HCCN_CONF = Path("/etc/hccn.conf")
HCCN_TOOL = "hccn_tool"
ASK = 10  # seconds for hccn_tool
JOBSTART = "jobstart_hccl.json"
COMPLETED = "completed"
WAIT = 600  # seconds for a JOBSTART to be completed
LOOK = 0.5  # seconds between two looks at it
DEVICES = 4096  # the most that a table made here may have


@dataclass(frozen=True)
class Place:
    """Where a rank runs."""

    rank: int
    server: str  # its address, as the table names it
    device: int  # which Ascend of that server


def read_rank_table(file: str) -> list[Place]:
    """The places of a rank table, in the order of their ranks.

    Args:
        file: its file, or a folder with a jobstart_hccl.json. A jobstart_hccl.json is waited for.

    Raises:
        UserError: the file is missing or is not a complete rank table.
    """
    table = _with_servers(_ready(file), file)
    try:
        listed = [
            (_word(server["server_id"]), device)
            for server in table["server_list"]
            for device in server["device"]
        ]
        places = [
            Place(_number(device["rank_id"]), server, _number(device["device_id"]))
            for server, device in listed
        ]
    except (ValueError, KeyError, TypeError):
        raise _no_table(file) from None
    places.sort(key=lambda place: place.rank)
    if not places or [place.rank for place in places] != list(range(len(places))):
        raise UserError(f"rank table: the ranks in {_said(file)} must be 0, 1, 2, ..., each once")
    if len({(place.server, place.device) for place in places}) < len(places):
        raise UserError(f"rank table: {_said(file)} names a device twice")
    return places


def for_hccl(file: str) -> str:
    """A file with this rank table in the form that HCCL reads: `file` itself, or a translation among the temporary files."""
    found = _ready(file)
    table = _with_servers(found, file)
    if table is found:
        return str(_file(file))
    text = json.dumps(table, indent=1) + "\n"
    name = (
        f"dlinknet_rank_table_{os.getuid()}_{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
    )
    translation = (
        Path(tempfile.gettempdir()) / name
    )  # the same of all processes: the name is the content's
    write_text(translation, text)
    return str(translation)


def _file(file: str) -> Path:
    return Path(file) / JOBSTART if os.path.isdir(file) else Path(file)


def _ready(file: str) -> dict[str, Any]:
    """Return a rank table's content, as soon as it is completed."""
    path, start, told = _file(file), time.monotonic(), False
    while True:
        table, status = _look(path)
        if status == COMPLETED:
            return table
        if path.name != JOBSTART or time.monotonic() - start > WAIT:
            waited = f" for {WAIT} s" if path.name == JOBSTART else ""
            raise UserError(
                f"rank table: {_said(path)} says {shown(status)}, not '{COMPLETED}'"
                f"{waited}: what writes it has not ended"
            )
        if not told:
            LOG.info("waiting for %s to be completed", path)
            told = True
        time.sleep(LOOK)


def _look(path: Path) -> tuple[dict[str, Any], Any]:
    """Return (a rank table's content, its status); a JOBSTART may be missing or half written."""
    pending = path.name == JOBSTART
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise UserError(f"rank table: {_said(path)} is no file")
        table = read_json(path)
    except OSError as error:
        if pending and isinstance(error, FileNotFoundError) and path.parent.is_dir():
            return {}, "nothing yet"
        raise UserError(f"rank table: cannot read {_said(path)}: {error.strerror}") from None
    except BadText as error:
        if pending:
            return {}, "no JSON"
        raise UserError(
            f"rank table: {_said(path)} is not one: {clipped(str(error), 100)}; "
            "dlinknet rank-table makes one"
        ) from None
    if not isinstance(table, dict):
        raise _no_table(path)
    return table, table.get("status", COMPLETED)


def _with_servers(table: dict[str, Any], file: str) -> dict[str, Any]:
    """Return a table with its group_list of pods turned into a server_list.

    It is the table itself if it has none. Ranks count through the pods in the order of their
    numbers: 12 of 'job94dc1dbf-job-roads-12'.
    """
    if "group_list" not in table:
        return table
    try:
        pods = [
            (group, _number(pod["pod_name"].rpartition("-")[2]), pod)
            for group, content in enumerate(table["group_list"])
            for pod in content["instance_list"]
            if pod["devices"]
        ]
        pods.sort(key=lambda pod: pod[:2])
        servers: dict[str, list[dict[str, str]]] = {}
        rank = 0
        for _, _, pod in pods:
            for device in pod["devices"]:
                servers.setdefault(_word(pod["server_id"]), []).append(
                    {
                        "device_id": str(_number(device["device_id"])),
                        "device_ip": _word(device["device_ip"], 0),
                        "rank_id": str(rank),
                    }
                )
                rank += 1
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _no_table(file) from None
    return _table(servers)


def _number(value: Any) -> int:
    """Return a number of a table, which stands there as a text or as a number.

    Raises:
        ValueError: it is something else, negative, or longer than nine digits.
    """
    if type(value) not in (int, str) or not re.fullmatch("[0-9]{1,9}", str(value)):
        raise ValueError
    return int(value)


def _word(value: Any, least: int = 1) -> str:
    """Return an address or a server's name.

    Raises:
        ValueError: it is something else, or has less than `least` or more than 255 letters.
    """
    if not isinstance(value, str) or not least <= len(value) <= 255:
        raise ValueError
    return value


def _table(servers: Mapping[str, list[dict[str, str]]]) -> dict[str, Any]:
    """A rank table of these servers' devices."""
    return {
        "version": "1.0",
        "server_count": str(len(servers)),
        "status": COMPLETED,
        "server_list": [
            {"server_id": server, "device": devices, "host_nic_ip": "reserve"}
            for server, devices in servers.items()
        ],
    }


def _said(file: str | Path) -> str:
    return clipped(str(file), 100)


def _no_table(file: str | Path) -> UserError:
    return UserError(
        f"rank table: {_said(file)} is not one: it requires server_list with "
        "server_id and device, and in each device device_id and rank_id; "
        "dlinknet rank-table makes one"
    )


def places_here(places: list[Place], file: str) -> list[Place]:
    """Those on this machine: all where the table names one server, else those whose server_id is an address of ours.

    In a ModelArts container, whose address may be another than its server's, those of server number VC_TASK_INDEX.

    Raises:
        UserError: none is.
    """
    servers = list(dict.fromkeys(place.server for place in places))  # in the order of their ranks
    if len(servers) == 1:
        return places
    own = addresses()
    node = os.environ.get("VC_TASK_INDEX", "")
    if own.isdisjoint(servers) and node.isdigit() and int(node) < len(servers):
        own = {servers[int(node)]}
    here = [place for place in places if place.server in own]
    if not here:
        named = name_some([clipped(name, 40) for name in servers], 2)
        raise UserError(
            f"rank table: none of the servers in {_said(file)} ({named}) is this "
            f"machine ({name_some(sorted(own), 2)})"
        )
    return here


def addresses() -> set[str]:
    """The names and IPv4 addresses of this machine."""
    name = socket.gethostname()
    found = {name, "127.0.0.1"}
    try:
        found.update(socket.gethostbyname_ex(name)[2])
    except OSError:
        pass  # a machine whose own name has no address
    try:
        said = subprocess.run(["hostname", "-I"], capture_output=True, text=True, timeout=ASK)
        found.update(said.stdout.split())
    except (OSError, subprocess.SubprocessError):
        pass
    return found


def make_rank_table(file: str, devices: str, server_ip: str) -> list[Place]:
    """Writes a rank table of this machine.

    Args:
        file: where to; it must not exist.
        devices: '0,1,2,3', '0-7', or 'all' for those of the machine (/dev/davinci0, ...).
        server_ip: how the table names this machine; empty for its own address.

    Raises:
        UserError: a device has no address, `devices` is not understood, or the file exists.
    """
    if os.path.lexists(file):
        raise UserError(f"rank_table: {_said(file)} exists; name another file, or remove it")
    folder = Path(file).absolute().parent
    need_writable_folder(str(folder))
    refuse_misnamed(folder, [Path(file).name], "the file would be", "name another file")
    numbers = _device_numbers(devices)
    server = server_ip or _own_address()
    listed = [
        {"device_id": str(device), "device_ip": _device_ip(device), "rank_id": str(rank)}
        for rank, device in enumerate(numbers)
    ]
    Path(file).absolute().parent.mkdir(parents=True, exist_ok=True)
    write_text(Path(file), json.dumps(_table({server: listed}), indent=1) + "\n")
    return read_rank_table(file)


def _device_numbers(devices: str) -> list[int]:
    if devices == "all":
        found = sorted(
            int(name[len("/dev/davinci") :])
            for name in glob.glob("/dev/davinci[0-9]*")
            if name[12:].isdigit()
        )
        if not found:
            raise UserError(
                "devices: this machine has no Ascend (/dev/davinci0 is missing); name them, as in --devices=0-7"
            )
        return found
    numbers: list[int] = []
    for part in devices.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,20})(?:-([0-9]{1,20}))?\s*", part)
        if not match:
            raise UserError(
                f"devices must be 'all' or numbers as in 0,1,2,3 or 0-7, not {shown(devices)}"
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if len(numbers) + last - first >= DEVICES:
            raise UserError(f"devices must name at most {DEVICES} devices, not {shown(devices)}")
        numbers.extend(range(first, last + 1))
    if not numbers or len(set(numbers)) < len(numbers):
        raise UserError(f"devices must name each device once, not {shown(devices)}")
    return numbers


def _own_address() -> str:
    """The address that this machine has towards others."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("10.255.255.255", 9))  # sends nothing: it only asks for the route
            return probe.getsockname()[0]
        except OSError:
            return "127.0.0.1"


def _device_ip(device: int) -> str:
    """The address of an Ascend's own network port: from hccn_tool, or from /etc/hccn.conf."""
    try:
        said = subprocess.run(
            [HCCN_TOOL, "-i", str(device), "-ip", "-g"], capture_output=True, text=True, timeout=ASK
        )
        match = re.search(r"ipaddr:\s*([\d.]+)", said.stdout)
        if match:
            return match[1]
        reason = f"hccn_tool says nothing of it ({(said.stdout + said.stderr).strip()[:80] or 'an empty answer'})"
    except FileNotFoundError:
        reason = "hccn_tool is not on PATH"
    except (OSError, subprocess.SubprocessError) as error:
        reason = f"hccn_tool failed ({error})"
    try:
        match = re.search(
            rf"^\s*address_{device}\s*=\s*([\d.]+)", HCCN_CONF.read_text(encoding="utf-8"), re.M
        )
    except OSError as error:
        raise UserError(
            f"devices: the address of device {device} is not known: {reason}, and {HCCN_CONF} cannot be read "
            f"({error.strerror}); both come with the Ascend driver"
        ) from None
    if match is None:
        raise UserError(
            f"devices: the address of device {device} is not known: {reason}, and {HCCN_CONF} has no address_{device}"
        )
    return match[1]
