"""The gate to ModelArts: a command runs as a job if the user asks for it.

Otherwise nothing else of this room is imported.
"""

from __future__ import annotations

import os
from typing import Callable

from dlinknet.config import wants_job

Main = Callable[["list[str]"], None]


def with_modelarts(main: Main, inputs: tuple[str, ...], output: str, name: str) -> Main:
    """Return a function that runs `main`, as a job if enable_modelarts is set.

    A job downloads the inputs before the command, and uploads the outputs during and after it.

    Args:
        main: runs a command on its arguments.
        inputs: the settings that name the command's inputs, data_path first.
        output: the setting that names its output.
        name: the command's name, such as 'train'.
    """

    def run(arguments: list[str]) -> None:
        if not wants_job(arguments, os.environ):
            main(arguments)
            return
        from dlinknet.cloud import job

        job.run(job.Command(main, inputs, output, name), arguments)

    return run
