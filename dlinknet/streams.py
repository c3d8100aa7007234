"""Standard streams that are safe to use: open, and able to write every character."""

from __future__ import annotations

import os
import sys


def make_safe() -> None:
    r"""Open the standard streams that are closed, and escape characters that they cannot encode.

    Other files would get the numbers of closed streams. A write to a stdout that was closed fails
    then; text for a stderr that was closed is lost. A character that the encoding of stdout lacks
    is written as \uXXXX.
    """
    for number, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, flags), True)  # it gets the lowest free number
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:  # the interpreter started without it
            stream = open(number, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
        getattr(sys, name).reconfigure(errors="backslashreplace")
