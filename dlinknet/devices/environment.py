"""How a launcher and its processes communicate: by variables and a log line. Pure Python.

A launcher sets variables of the environment that name a device, a rank table or a rank. A training
ends its log with a line, which the launcher reads.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from dlinknet.errors import InputError, shown

DONE = "training is done"  # the last line in the log of a training that has come to its end
FROM_ENVIRONMENT = -1  # in place of a device's number
# Of several names, the first one that is set counts.
DEVICE = ("DEVICE_ID", "ASCEND_DEVICE_ID")
TABLE = ("RANK_TABLE_FILE", "MINDSPORE_HCCL_CONFIG_PATH")


def device_of_environment(environment: Mapping[str, str] = os.environ) -> int:
    """Return the Ascend or GPU that the user has set for this machine, 0 if none is set.

    MindSpore and the model zoo's D-LinkNet read DEVICE_ID, CANN reads ASCEND_DEVICE_ID.

    Raises:
        InputError: the variable is no whole number.
    """
    return device(environment, *DEVICE) or 0


def set_rank_table(table: str) -> None:
    """Leave this rank table in the environment, and no other one.

    MindSpore 2.6 and later compile for the deprecated whole-graph backend if they see a rank table,
    also in a single process. ModelArts always sets one. Source: MindSpore's MsContext::GetJitLevel.

    Args:
        table: a file that HCCL reads; '' if this process was not started from a rank table.
    """
    for name in TABLE:
        os.environ.pop(name, None)
    if table:
        os.environ[TABLE[0]] = table


def device(environment: Mapping[str, str], *names: str) -> int | None:
    """Return the device that one of the variables names; None if none is set.

    Raises:
        InputError: the variable is no whole number.
    """
    return number(environment, *names) if any(map(environment.get, names)) else None


def number(environment: Mapping[str, str], *names: str) -> int:
    """Return the first variable that is set, as a whole number.

    Raises:
        InputError: none is set, or it is no whole number.
    """
    name = next((name for name in names if environment.get(name)), None)
    if name is None:
        raise InputError(
            names[0], "is not in the environment; the launcher of the processes must set it"
        )
    text = environment[name]
    if not (text.isascii() and text.isdigit()):
        raise InputError(name, f"in the environment must be a whole number, not {shown(text)}")
    return int(text)
