"""Which devices of this machine can be used."""

from __future__ import annotations

import glob
import os
import re
import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from dlinknet.devices.environment import TABLE
from dlinknet.files.shipped import PACKAGE

# A machine has one of these files if a device of the kind is plugged in and its driver is loaded.
NODES = {"Ascend": ("/dev/davinci[0-9]*",), "GPU": ("/dev/nvidia[0-9]*", "/dev/dxg")}
# CANN's set_env.sh sets these variables. MindSpore 2.0 finds CANN in the first three of these
# folders without them; later versions of CANN install into the last one.
CANN = ("ASCEND_TOOLKIT_HOME", "ASCEND_HOME_PATH", "ASCEND_OPP_PATH")
CANN_FOLDERS = (
    "/usr/local/Ascend/nnae/latest",
    "/usr/local/Ascend/ascend-toolkit/latest",
    "/usr/local/Ascend/latest",
    "/usr/local/Ascend/cann",
)
PROBE_SECONDS = 300


def best_device(device_id: int) -> tuple[str, str]:
    """Return (the best kind of device that computes something, why better kinds do not).

    Args:
        device_id: which Ascend or GPU of this machine.
    """
    refused: list[str] = []
    for target in ("Ascend", "GPU"):
        if not is_plugged_in(target):  # the usual case, which needs no details
            refused.append(f"{target}: none is plugged in")
            continue
        reason = find_lack(target) or _probe(target, device_id)
        if not reason:
            return target, "; ".join(refused)
        refused.append(f"{target}: {reason}")
    return "CPU", "; ".join(refused)


def find_lack(target: str) -> str:
    """Return the first thing that this machine lacks to use a device, in words; '' for nothing."""
    if not is_plugged_in(target):
        nodes = " or ".join(NODES[target])
        return f"none is plugged in, or its driver is not loaded ({nodes} is missing)"
    plugin = f"libmindspore_{target.lower()}.so*"
    import mindspore

    if not glob.glob(os.path.join(os.path.dirname(mindspore.__file__), "lib", "plugin", plugin)):
        return f"this MindSpore {mindspore.__version__} does not support it ({plugin} is missing)"
    if target == "Ascend" and not _finds_cann():
        return (
            f"CANN is not set up ({', '.join(CANN[:-1])} and {CANN[-1]} are empty, and it is not "
            "in /usr/local/Ascend): source set_env.sh in its folder"
        )
    return ""


def installed_version() -> tuple[int, ...]:
    """Return (major, minor) of this Python's MindSpore without its import; () if unknown."""
    found = find_spec("mindspore")
    for folder in found.submodule_search_locations or () if found else ():
        with suppress(OSError):
            text = Path(folder, "version.py").read_text(encoding="utf-8")
            if number := re.search(r"(\d+)\.(\d+)", text):
                return int(number[1]), int(number[2])
    return ()


def is_plugged_in(target: str) -> bool:
    """Return whether this machine has a device of a kind, with its driver."""
    return any(glob.glob(pattern) for pattern in NODES[target])


def _finds_cann() -> bool:
    """Return whether MindSpore may find CANN. The first computation then decides."""
    return any(map(os.environ.get, CANN)) or any(map(os.path.isdir, CANN_FOLDERS))


def _probe(target: str, device_id: int) -> str:
    """Return why a device does not compute, in a few words; '' if it does.

    A new process tries it, because a device that fails at its start can end the process.
    """
    launchers = ("MS_ROLE", "OMPI_", *TABLE)
    alone = {name: value for name, value in os.environ.items() if not name.startswith(launchers)}
    code = f"from dlinknet.devices import runtime; runtime.try_device({target!r}, {device_id})"
    try:
        probe = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            env=alone,
            timeout=PROBE_SECONDS,
            cwd=PACKAGE.parent,
        )
    except subprocess.TimeoutExpired:
        return f"did not answer in {PROBE_SECONDS} s"
    if probe.returncode == 0:
        return ""
    lines = [line for line in probe.stderr.splitlines() if line.strip()]
    return lines[-1][:200] if lines else f"ended with status {probe.returncode}"
