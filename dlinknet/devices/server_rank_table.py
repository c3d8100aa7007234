"""Make the rank table of one Ascend server. Pure Python."""

from __future__ import annotations

import glob
import json
import os
import re
import socket
import subprocess
from pathlib import Path

from dlinknet.devices.rank_table import ASK, RankDevice, read_rank_table, table_of
from dlinknet.errors import InputError, clipped, shown
from dlinknet.files.atomic import write_text
from dlinknet.files.places import need_writable_folder, refuse_misnamed

HCCN_CONF = Path("/etc/hccn.conf")
HCCN_TOOL = "hccn_tool"
NODE = "/dev/davinci"  # followed by the number of an Ascend
DEVICES = 4096  # the most devices of a table that is made here


def make_rank_table(file: str, devices: dict[int, str], server_ip: str) -> list[RankDevice]:
    """Write a rank table of this server, and read it back.

    Args:
        file: the path of the new table. It must not exist.
        devices: the addresses of the Ascends, as find_devices() returns them, in rank order.
        server_ip: this server's name in the table; '' for its own address.

    Raises:
        InputError: the file exists or cannot be written.
    """
    if os.path.lexists(file):
        raise InputError(clipped(file, 100), "exists; name another file, or remove it")
    folder = Path(file).absolute().parent
    need_writable_folder(str(folder))
    refuse_misnamed(folder, [Path(file).name], "the file would be", "name another file")
    listed = [
        {"device_id": str(device), "device_ip": address, "rank_id": str(rank)}
        for rank, (device, address) in enumerate(devices.items())
    ]
    folder.mkdir(parents=True, exist_ok=True)
    table = table_of({server_ip or _own_address(): listed})
    write_text(Path(file), json.dumps(table, indent=1) + "\n")
    return read_rank_table(file)


def find_devices(devices: str) -> dict[int, str]:
    """Return the address of each Ascend that a text names, by its number, in the text's order.

    Args:
        devices: '0,1,2,3', '0-7', or 'all' for those of this server (/dev/davinci0, ...).

    Raises:
        InputError: the text is not understood, there is no Ascend, or one has no address.
    """
    numbers = _plugged_in() if devices == "all" else _numbers(devices)
    return {number: _address(number) for number in numbers}


def _plugged_in() -> list[int]:
    names = [node[len(NODE) :] for node in glob.glob(f"{NODE}[0-9]*")]
    found = sorted(int(name) for name in names if name.isdigit())
    if not found:
        raise InputError(
            "this machine", f"has no Ascend ({NODE}0 is missing); name devices, as in 0-7"
        )
    return found


def _numbers(devices: str) -> list[int]:
    numbers: list[int] = []
    for part in devices.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,20})(?:-([0-9]{1,20}))?\s*", part)
        if not match:
            raise InputError(
                "", f"must be 'all' or numbers as in 0,1,2,3 or 0-7, not {shown(devices)}"
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if len(numbers) + last - first >= DEVICES:
            raise InputError("", f"must name at most {DEVICES} devices, not {shown(devices)}")
        numbers.extend(range(first, last + 1))
    if not numbers or len(set(numbers)) < len(numbers):
        raise InputError("", f"must name each device once, not {shown(devices)}")
    return numbers


def _own_address() -> str:
    """Return the address of this machine in its network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("10.255.255.255", 9))  # sends nothing: it only asks for the route
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def _address(device: int) -> str:
    """Return the address of an Ascend's own network port, from hccn_tool or /etc/hccn.conf."""
    address, reason = _ask_hccn_tool(device)
    if address:
        return address
    subject = f"the address of device {device}"
    try:
        text = HCCN_CONF.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(
            subject,
            f"is not known: {reason}, and {HCCN_CONF} cannot be read ({error.strerror}); both "
            "come with the Ascend driver",
        ) from None
    match = re.search(rf"^\s*address_{device}\s*=\s*([\d.]+)", text, re.M)
    if match is None:
        raise InputError(
            subject, f"is not known: {reason}, and {HCCN_CONF} has no address_{device}"
        )
    return match[1]


def _ask_hccn_tool(device: int) -> tuple[str, str]:
    """Return (the address from hccn_tool, ''), or ('', the reason why there is none)."""
    command = [HCCN_TOOL, "-i", str(device), "-ip", "-g"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=ASK)
    except FileNotFoundError:
        return "", "hccn_tool is not on PATH"
    except (OSError, subprocess.SubprocessError) as error:
        return "", f"hccn_tool failed ({error})"
    if match := re.search(r"ipaddr:\s*([\d.]+)", said.stdout):
        return match[1], ""
    answer = (said.stdout + said.stderr).strip()[:80] or "an empty answer"
    return "", f"hccn_tool does not report it ({answer})"
