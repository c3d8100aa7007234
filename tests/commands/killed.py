"""python killed.py MOMENT N ...: run train.py with the other arguments, killed by SIGKILL.

The kill comes at the Nth such moment:
step: while a step computes.
saving: while a checkpoint is written.
renaming: a checkpoint is written and the earlier one is renamed, but the new one is not yet in its
place.
validation: when validation begins.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def kill_soon():
    """From a process of its own: a thread would wait for a lock that the work holds."""
    subprocess.Popen(["sh", "-c", f"sleep 0.03; kill -9 {os.getpid()}"])


def killing(function, number, how, counts=lambda *args: True):
    """`function`, with how() called first at its `number`th call that counts."""
    calls = 0

    def call(*args, **kwargs):
        nonlocal calls
        calls += bool(counts(*args))
        if calls == number and counts(*args):
            how()
        return function(*args, **kwargs)

    return call


def main():
    moment, number = sys.argv[1], int(sys.argv[2])
    sys.argv[1:3] = []
    from dlinknet.commands import train
    from dlinknet.devices import runtime

    start = runtime.start

    def started(*args):
        """MindSpore can be imported from here on."""
        device = start(*args)
        import mindspore

        from dlinknet.evaluation import scoring
        from dlinknet.training import loop

        if moment == "step":
            make_step = loop.make_step
            loop.make_step = lambda *args: killing(make_step(*args), number, kill_soon)
        elif moment == "saving":
            mindspore.save_checkpoint = killing(mindspore.save_checkpoint, number, kill_soon)
        elif moment == "renaming":
            os.replace = killing(
                os.replace, number, kill, lambda _, path: str(path).endswith("_last.ckpt")
            )
        elif moment == "validation":
            scoring.score_all = killing(scoring.score_all, number, kill)
        return device

    runtime.start = started
    train.main(sys.argv[1:])


if __name__ == "__main__":
    main()
