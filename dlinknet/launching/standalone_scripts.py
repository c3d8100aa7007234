"""run_standalone_*_train.sh and run_standalone_*_eval.sh: one process on one device."""

from __future__ import annotations

import sys

from dlinknet.errors import one_line
from dlinknet.launching import processes
from dlinknet.launching.log_folders import here, hold, move_aside
from dlinknet.launching.processes import python_command
from dlinknet.launching.script_arguments import (
    Arguments,
    need_file,
    need_folder,
    need_mindspore,
    need_number,
)
from dlinknet.launching.supervisor import say


def train(device: str, asked: Arguments) -> None:
    """Train on one device."""
    dataset, config, *rest = asked.words
    need_folder("DATASET", dataset)
    need_file("CONFIG_PATH", config)
    chosen = _device_settings(device, rest)
    need_mindspore()
    command = [
        *python_command("train.py"),
        f"--data_path={dataset}",
        f"--config_path={config}",
        "--output_path=output",
        "--run_distribute=False",
        *chosen,
        *asked.settings,
    ]
    _run("train", command, asked)


def evaluate(device: str, asked: Arguments) -> None:
    """Score a trained network on one device."""
    dataset, labels, checkpoint, masks, config, *rest = asked.words
    need_folder("DATASET", dataset)
    need_folder("LABEL_PATH", labels)
    need_file("CHECKPOINT", checkpoint)
    need_file("CONFIG_PATH", config)
    chosen = _device_settings(device, rest)
    need_mindspore()
    command = [
        *python_command("eval.py"),
        f"--data_path={dataset}",
        f"--label_path={labels}",
        f"--trained_ckpt={checkpoint}",
        f"--predict_path={masks}",
        f"--config_path={config}",
        *chosen,
        *asked.settings,
    ]
    _run("eval", command, asked)


def _device_settings(device: str, words: list[str]) -> list[str]:
    """Return the settings that choose a device; `words` holds its number or nothing."""
    chosen = [f"--device_target={device}"]
    if words:
        chosen.append(f"--device_id={need_number('DEVICE_ID', words[0])}")
    return chosen


def _run(name: str, command: list[str], asked: Arguments) -> None:
    """Run a command with its log in NAME.log, in the background or to its end.

    Raises:
        UserError: an earlier start still runs here.
        SystemExit: the command failed; its status is the script's.
    """
    log = here() / f"{name}.log"
    lock = hold(name, f"the work of {log.name}")
    if not asked.resumes:
        move_aside(log)
    if not asked.waits:
        started = processes.start("the command", command, log, keep=(lock,), in_background=True)
        say(f"running in the background as process {started.child.pid}; log: {log}")
        return
    say(f"running; log: {log}")
    request = processes.StopRequest()
    process = processes.start("the command", command, log, keep=(lock,))
    status = processes.wait_for(process.child, request)
    if status:
        ended = f"{process.name} {process.ended_as(status)} (log: {log})"
        say(one_line(f"{asked.script}: error: {ended}"), is_error=True)
        sys.exit(status)
    say(f"done; log: {log}")
