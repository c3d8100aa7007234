"""The gate to ModelArts: a command runs as a job if the user asks for that.

If not, nothing else of this room is imported.
"""

from __future__ import annotations

import os
from typing import Callable

from dlinknet.config import wants_job

Main = Callable[["list[str]"], None]


def as_job(main: Main, inputs: tuple[str, ...], output: str, name: str) -> Main:
    """Return a function that runs `main`, as a job if enable_modelarts is set.

    A job brings the inputs before, and takes the outputs away after.

    Args:
        main: runs a command on its arguments.
        inputs: the settings that name what the command reads, data_path first.
        output: the setting that names what it writes.
        name: the command's, as in 'train'.
    """

    def run(arguments: list[str]) -> None:
        if not wants_job(arguments, os.environ):
            main(arguments)
            return
        from dlinknet.cloud import job

        job.run(job.Command(main, inputs, output, name), arguments)

    return run
