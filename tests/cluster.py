"""Run a script in several processes of MindSpore's own cluster on the CPU."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def need_cluster():
    """Skip a test if this MindSpore cannot start several processes on a CPU."""
    import mindspore

    if mindspore.__version__.startswith("2.0"):
        pytest.skip("MindSpore 2.0 cannot start several processes on a CPU")


def cluster(size: int, script: Path, *arguments: str, timeout: int = 300) -> list[str]:
    """Run a script in `size` processes, and return the output of each.

    Assert that all processes reach the end of the script, which prints DONE. After this end
    MindSpore 2.10 sometimes crashes while it closes the connections of its processes.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {
        **os.environ,
        "MS_WORKER_NUM": str(size),
        "MS_SCHED_HOST": "127.0.0.1",
        "MS_SCHED_PORT": str(port),
    }
    roles = [
        {"MS_ROLE": "MS_SCHED"},
        *({"MS_ROLE": "MS_WORKER", "MS_NODE_ID": str(rank)} for rank in range(size)),
    ]
    processes = [
        subprocess.Popen(
            [sys.executable, str(script), *arguments],
            env={**shared, **role},
            text=True,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for role in roles
    ]
    try:
        said = [process.communicate(timeout=timeout)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    ended = [
        process.returncode == 0 or (process.returncode == -signal.SIGSEGV and "DONE\n" in text)
        for process, text in zip(processes, said)
    ]
    assert all(ended), [process.returncode for process in processes] + said
    return said[1:]
