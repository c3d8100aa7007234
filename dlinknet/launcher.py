"""What started this process, read from its environment, and rank tables. Pure Python.

Three ways to start the processes of one training are known:

    cluster      MindSpore's own, without a rank table, by msrun or scripts/: MS_ROLE, MS_WORKER_NUM, MS_NODE_ID, MS_SCHED_HOST
    mpirun       OpenMPI: OMPI_COMM_WORLD_SIZE, _RANK, _LOCAL_RANK
    rank table   Ascend: RANK_TABLE_FILE, RANK_ID, RANK_SIZE, DEVICE_ID (ModelArts: ASCEND_DEVICE_ID)
"""
from __future__ import annotations

import glob
import json
import re
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping

from dlinknet.errors import UserError
from dlinknet.files import write_text

HCCN_CONF = Path("/etc/hccn.conf")
HCCN_TOOL = "hccn_tool"
ASK = 10                # seconds for hccn_tool


@dataclass(frozen=True)
class Launch:
    """One of the processes of a training."""

    way: str                    # 'cluster', 'mpirun' or 'rank table'
    size: int                   # how many there are
    device_id: int | None       # which Ascend or GPU of this machine is this process's; None where the launcher says nothing
    schedules: bool = False     # it only brings the others together and computes nothing


def launched(environment: Mapping[str, str]) -> Launch | None:
    """What the environment says; None where no launcher started this process.

    Raises:
        UserError: a variable that belongs to the others is missing or no number.
    """
    def number(*names: str) -> int:
        name = next((name for name in names if environment.get(name)), None)
        if name is None:
            raise UserError(f"run_distribute: {names[0]} is not in the environment, which the launcher of the processes sets")
        if not environment[name].isdigit():
            raise UserError(f"run_distribute: {name} in the environment must be a whole number, not '{environment[name]}'")
        return int(environment[name])

    def device(*names: str) -> int | None:
        return number(*names) if any(environment.get(name) for name in names) else None

    if environment.get("MS_ROLE"):
        return Launch("cluster", number("MS_WORKER_NUM"), device("DEVICE_ID"), environment["MS_ROLE"] == "MS_SCHED")
    if environment.get("OMPI_COMM_WORLD_SIZE"):
        return Launch("mpirun", number("OMPI_COMM_WORLD_SIZE"), number("OMPI_COMM_WORLD_LOCAL_RANK"))
    table = environment.get("RANK_TABLE_FILE") or environment.get("MINDSPORE_HCCL_CONFIG_PATH")
    if table and environment.get("RANK_ID"):
        places = read_rank_table(table)
        rank = number("RANK_ID")
        mine = next((place for place in places if place.rank == rank), None)
        if mine is None:
            raise UserError(f"run_distribute: {table} has no rank {rank} (RANK_ID), it has {len(places)} ranks")
        found = device("DEVICE_ID", "ASCEND_DEVICE_ID")
        return Launch("rank table", len(places), mine.device if found is None else found)
    return None


@dataclass(frozen=True)
class Place:
    """Where a rank runs."""

    rank: int
    server: str         # its address, as the table names it
    device: int         # which Ascend of that server


def read_rank_table(file: str) -> list[Place]:
    """The places of a rank table, in the order of their ranks.

    Raises:
        UserError: the file is missing or is not a complete rank table.
    """
    try:
        table = json.loads(Path(file).read_text(encoding="utf-8"))
        places = [Place(int(device["rank_id"]), str(server["server_id"]), int(device["device_id"]))
                  for server in table["server_list"] for device in server["device"]]
        status = table.get("status", "completed")
    except OSError as error:
        raise UserError(f"rank table: cannot read {file}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"rank table: {file} is not one: it takes server_list with server_id and device, and in each device "
                        "device_id and rank_id; rank_table.py makes one") from None
    if status != "completed":
        raise UserError(f"rank table: {file} says '{status}', not 'completed': what writes it has not ended")
    places.sort(key=lambda place: place.rank)
    if not places or [place.rank for place in places] != list(range(len(places))):
        raise UserError(f"rank table: the ranks in {file} must be 0, 1, 2, ..., each once")
    if len({(place.server, place.device) for place in places}) < len(places):
        raise UserError(f"rank table: {file} names a device twice")
    return places


def places_here(places: list[Place], file: str) -> list[Place]:
    """Those on this machine: all where the table names one server, else those whose server_id is an address of ours.

    Raises:
        UserError: none is.
    """
    servers = sorted({place.server for place in places})
    if len(servers) == 1:
        return places
    own = addresses()
    here = [place for place in places if place.server in own]
    if not here:
        raise UserError(f"rank table: none of the servers in {file} ({', '.join(servers)}) is this machine "
                        f"({', '.join(sorted(own))})")
    return here


def addresses() -> set[str]:
    """The names and IPv4 addresses of this machine."""
    name = socket.gethostname()
    found = {name, "127.0.0.1"}
    try:
        found.update(socket.gethostbyname_ex(name)[2])
    except OSError:
        pass                    # a machine whose own name has no address
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
    if Path(file).exists():
        raise UserError(f"rank_table: {file} exists; name another file, or remove it")
    numbers = _device_numbers(devices)
    server = server_ip or _own_address()
    listed = [{"device_id": str(device), "device_ip": _device_ip(device), "rank_id": str(rank)}
              for rank, device in enumerate(numbers)]
    table = {"version": "1.0", "server_count": "1", "status": "completed",
             "server_list": [{"server_id": server, "device": listed, "host_nic_ip": "reserve"}]}
    Path(file).absolute().parent.mkdir(parents=True, exist_ok=True)
    write_text(Path(file), json.dumps(table, indent=1) + "\n")
    return read_rank_table(file)


def _device_numbers(devices: str) -> list[int]:
    if devices == "all":
        found = sorted(int(name[len("/dev/davinci"):]) for name in glob.glob("/dev/davinci[0-9]*") if name[12:].isdigit())
        if not found:
            raise UserError("devices: this machine has no Ascend (/dev/davinci0 is missing); name them, as in --devices=0-7")
        return found
    numbers: list[int] = []
    for part in devices.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if not match:
            raise UserError(f"devices must be 'all' or numbers as in 0,1,2,3 or 0-7, not '{devices}'")
        first, last = int(match[1]), int(match[2] or match[1])
        numbers.extend(range(first, last + 1))
    if not numbers or len(set(numbers)) < len(numbers):
        raise UserError(f"devices must name each device once, not '{devices}'")
    return numbers


def _own_address() -> str:
    """The address that this machine has towards others."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("10.255.255.255", 9))        # sends nothing: it only asks for the route
            return probe.getsockname()[0]
        except OSError:
            return "127.0.0.1"


def _device_ip(device: int) -> str:
    """The address of an Ascend's own network port: from hccn_tool, or from /etc/hccn.conf."""
    try:
        said = subprocess.run([HCCN_TOOL, "-i", str(device), "-ip", "-g"], capture_output=True, text=True, timeout=ASK)
        match = re.search(r"ipaddr:\s*([\d.]+)", said.stdout)
        if match:
            return match[1]
        reason = f"hccn_tool says nothing of it ({(said.stdout + said.stderr).strip()[:80] or 'an empty answer'})"
    except FileNotFoundError:
        reason = "hccn_tool is not on PATH"
    except (OSError, subprocess.SubprocessError) as error:
        reason = f"hccn_tool failed ({error})"
    try:
        match = re.search(rf"^\s*address_{device}\s*=\s*([\d.]+)", HCCN_CONF.read_text(encoding="utf-8"), re.M)
    except OSError as error:
        raise UserError(f"devices: the address of device {device} is not known: {reason}, and {HCCN_CONF} cannot be read "
                        f"({error.strerror}); both come with the Ascend driver") from None
    if match is None:
        raise UserError(f"devices: the address of device {device} is not known: {reason}, and {HCCN_CONF} has no address_{device}")
    return match[1]
