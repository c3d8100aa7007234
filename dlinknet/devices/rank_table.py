"""Rank tables of Ascends: which rank runs on which device of which server. Pure Python.

A table is a JSON file with a server_list, as HCCL reads it (version 1.0). Inside a ModelArts
container it is a file `jobstart_hccl.json`, named by itself or by its folder. That file is filled
in after the processes have started, and may have a group_list of pods (version 0.1). The readers
here wait for it, and turn the pods into a server_list.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlinknet.console import LOG
from dlinknet.errors import InputError, clipped, name_some, shown
from dlinknet.files.atomic import write_text
from dlinknet.files.texts import BadText, read_json

ASK = 10  # seconds for a program of the system to answer
JOBSTART = "jobstart_hccl.json"
COMPLETED = "completed"
REQUIRED = (
    "it requires server_list with server_id and device, and in each device device_id and rank_id"
)
WAIT = 600  # seconds for a JOBSTART to be completed
LOOK = 0.5  # seconds between two looks at it


@dataclass(frozen=True)
class RankDevice:
    """The device on which a rank runs.

    server: its address, as the table names it.
    device: the number of the Ascend in that server.
    """

    rank: int
    server: str
    device: int


def read_rank_table(file: str) -> list[RankDevice]:
    """Return the devices of a rank table, in the order of their ranks.

    Args:
        file: the table's file, or a folder with a jobstart_hccl.json. This function waits until a
            jobstart_hccl.json is completed.

    Raises:
        InputError: the file is missing or is not a complete rank table.
    """
    table = _with_servers(_ready(file), file)
    try:
        ranks = [
            RankDevice(
                _number(device["rank_id"]), _word(server["server_id"]), _number(device["device_id"])
            )
            for server in table["server_list"]
            for device in server["device"]
        ]
    except (ValueError, KeyError, TypeError):
        raise _no_table(file) from None
    ranks.sort(key=lambda each: each.rank)
    if not ranks or [each.rank for each in ranks] != list(range(len(ranks))):
        raise InputError(f"the ranks in {_said(file)}", "must be 0, 1, 2, ..., each once")
    if len({(each.server, each.device) for each in ranks}) < len(ranks):
        raise InputError(_said(file), "names a device twice")
    return ranks


def for_hccl(file: str) -> str:
    """Return a file with this rank table in the form that HCCL reads.

    It is `file` itself, or a translation among the temporary files.
    """
    found = _ready(file)
    table = _with_servers(found, file)
    if table is found:
        return str(_file(file))
    text = json.dumps(table, indent=1) + "\n"
    # The name depends on the content alone, so all processes write the same file.
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    name = f"dlinknet_rank_table_{os.getuid()}_{digest}.json"
    translation = Path(tempfile.gettempdir()) / name
    write_text(translation, text)
    return str(translation)


def table_of(servers: Mapping[str, list[dict[str, str]]]) -> dict[str, Any]:
    """Return a rank table of these servers' devices."""
    return {
        "version": "1.0",
        "server_count": str(len(servers)),
        "status": COMPLETED,
        "server_list": [
            {"server_id": server, "device": devices, "host_nic_ip": "reserve"}
            for server, devices in servers.items()
        ],
    }


def places_here(ranks: list[RankDevice], file: str) -> list[RankDevice]:
    """Return the ranks on this machine.

    If the table names one server, they are all ranks. Otherwise they are the ranks whose server_id
    is an address of this machine. The address of a ModelArts container may differ from its
    server's; there they are the ranks of the server with the number VC_TASK_INDEX.

    Raises:
        InputError: there is no such rank.
    """
    servers = list(dict.fromkeys(each.server for each in ranks))  # in the order of their ranks
    if len(servers) == 1:
        return ranks
    own = addresses()
    node = os.environ.get("VC_TASK_INDEX", "")
    if own.isdisjoint(servers) and node.isdigit() and int(node) < len(servers):
        own = {servers[int(node)]}
    here = [each for each in ranks if each.server in own]
    if not here:
        named = name_some([clipped(name, 40) for name in servers], 2)
        raise InputError(
            f"none of the servers in {_said(file)} ({named})",
            f"is this machine ({name_some(sorted(own), 2)})",
        )
    return here


def addresses() -> set[str]:
    """Return the names and IPv4 addresses of this machine."""
    name = socket.gethostname()
    found = {name, "127.0.0.1"}
    with suppress(OSError):  # a machine whose own name has no address
        found.update(socket.gethostbyname_ex(name)[2])
    with suppress(OSError, subprocess.SubprocessError):
        said = subprocess.run(["hostname", "-I"], capture_output=True, text=True, timeout=ASK)
        found.update(said.stdout.split())
    return found


def _file(file: str) -> Path:
    return Path(file) / JOBSTART if os.path.isdir(file) else Path(file)


def _ready(file: str) -> dict[str, Any]:
    """Return a rank table's content, as soon as it is completed."""
    path, start, told = _file(file), time.monotonic(), False
    while True:
        table, state = _look(path)
        if state == COMPLETED:
            return table
        if path.name != JOBSTART or time.monotonic() - start > WAIT:
            waited = f" after {WAIT} s" if path.name == JOBSTART else ""
            raise InputError(_said(path), f"{state}{waited}: its writer has not finished")
        if not told:
            LOG.info("waiting for %s to be completed", path)
            told = True
        time.sleep(LOOK)


def _look(path: Path) -> tuple[dict[str, Any], str]:
    """Return (a rank table's content, its state in words).

    A JOBSTART may be missing or half written. COMPLETED is the state of a table to use.
    """
    pending = path.name == JOBSTART
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise InputError(_said(path), "is no file")
        table = read_json(path)
    except OSError as error:
        if pending and isinstance(error, FileNotFoundError) and path.parent.is_dir():
            return {}, "does not exist"
        raise InputError(_said(path), f": {error.strerror}", before="cannot read") from None
    except BadText as error:
        if pending:
            return {}, "is no whole JSON file"
        raise _no_table(path, clipped(str(error), 100)) from None
    if not isinstance(table, dict):
        raise _no_table(path)
    status = table.get("status", COMPLETED)
    return table, COMPLETED if status == COMPLETED else f"says {shown(status)}, not '{COMPLETED}'"


def _with_servers(table: dict[str, Any], file: str) -> dict[str, Any]:
    """Return a table with its group_list of pods turned into a server_list.

    A table without a group_list is returned as it is. Ranks count through the pods in the order of
    their numbers: 12 of 'job94dc1dbf-job-roads-12'.
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
    return table_of(servers)


def _number(value: Any) -> int:
    """Return a number of a table, where it is a text or a number.

    Raises:
        ValueError: the value has another type, is negative, or has more than nine digits.
    """
    if type(value) not in (int, str) or not re.fullmatch("[0-9]{1,9}", str(value)):
        raise ValueError
    return int(value)


def _word(value: Any, least: int = 1) -> str:
    """Return an address or a server's name.

    Raises:
        ValueError: the value has another type, or less than `least` or more than 255 letters.
    """
    if not isinstance(value, str) or not least <= len(value) <= 255:
        raise ValueError
    return value


def _said(file: str | Path) -> str:
    return f"the rank table {clipped(str(file), 100)}"


def _no_table(file: str | Path, reason: str = REQUIRED) -> InputError:
    return InputError(_said(file), f"is not valid: {reason}; dlinknet rank-table makes one")
