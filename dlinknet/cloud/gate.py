"""The gate to ModelArts: a command that is to run as a job gets what that takes; otherwise nothing of it is imported."""

from __future__ import annotations

import os
from typing import Callable

from dlinknet.config import wants_job

Main = Callable[[list], None]


def as_job(main: Main, inputs: tuple[str, ...], output: str, name: str) -> Main:
    """`main` itself, or where enable_modelarts is set, `main` between bringing its inputs and taking its outputs away.

    Args:
        main: runs a command on its arguments.
        inputs: the settings that name what it reads, data_path first.
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
