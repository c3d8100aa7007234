"""python tests/survival.py [--kills=50] [--seed=1]: kills a training over and over at random moments (SIGKILL), resumes it each
time until it ends, and compares every tensor with those of a training that was left alone. Where it ends before it was killed so
often, it starts again.

It takes about a quarter of a minute for each kill on 2 cores. The exit status is 1 where anything differs.
"""
import argparse
import collections
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.conftest import stripes, write_pair      # noqa: E402

SETTINGS = ["--data_path=data/train", "--val_path=data/valid", "--device_target=CPU", "--model_name=linknet18",
            "--batch_size=2", "--learning_rate=0.001", "--save_steps=5"]


def train(folder: Path, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, str(ROOT / "train.py"), *arguments], cwd=folder, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def wait_for_checkpoint(process: subprocess.Popen, out: Path) -> None:
    """Until the run has something to go on from."""
    while not any(out.glob("*_last.ckpt")) and process.poll() is None:
        time.sleep(0.05)


def what_lies_there(out: Path) -> str:
    """In which state of its files the run was killed."""
    if any(out.glob(".*_last.*")):
        return "while a checkpoint was written"
    return "between checkpoints" if any(out.glob("*_last.ckpt")) else "between the two renames of a checkpoint"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    moments, found, log = random.Random(options.seed), collections.Counter(), ""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(20):
            write_pair(folder / "data" / "train", f"t{number}", *stripes(number))
        for number in range(4):
            write_pair(folder / "data" / "valid", f"v{number}", *stripes(50 + number))
        epochs = f"--epoch_num={max(2, min(20, options.kills))}"
        start = time.monotonic()
        whole = train(folder, *SETTINGS, epochs, "--output_path=whole")
        while not any(folder.glob("whole/*_epochs.csv")) and whole.poll() is None:
            time.sleep(0.05)
        first_epoch = time.monotonic() - start
        log = whole.communicate()[0]
        if whole.returncode:
            print(log)
            return 1
        seconds = time.monotonic() - start
        unlike = run = kills = 0
        while kills < options.kills:        # a training may end, for one reason or another, before all kills are done
            run, resume, running = run + 1, [], True
            out = folder / f"out{run}"
            while running:
                process = train(folder, *SETTINGS, epochs, f"--output_path={out}", *resume)
                wait_for_checkpoint(process, out)
                resume = ["--resume"]
                try:
                    # From the first checks of the files to well into the training; to its end after the last kill.
                    process.wait(moments.uniform(0, 2 * first_epoch) if kills < options.kills else None)
                    running = False
                except subprocess.TimeoutExpired:
                    process.kill()
                    kills += 1
                    found[what_lies_there(out)] += 1
                log = process.communicate()[0]
                if process.returncode not in (0, -9):
                    print(log)
                    return 1
                print(f"run {run}, {kills} kills: {log.splitlines()[-1] if log else 'killed before its first line'}", flush=True)
            unlike += compare(folder / "whole", out)
        print(f"{sum(found.values())} kills of {run} runs: " + ", ".join(f"{count} {state}" for state, count in found.items())
              + f"; the undisturbed run took {seconds:.0f} s")
        return int(unlike > 0)


def compare(whole: Path, out: Path) -> int:
    """How many tensors of the checkpoints are not the same, to the bit."""
    from dlinknet import runtime
    runtime.start("CPU", 0, 1)
    from dlinknet.models.weights import read_checkpoint
    unlike = 0
    for file in sorted(whole.glob("*.ckpt")):
        if file.name.endswith("_previous.ckpt"):
            continue            # which of the two last ones it is depends on where the run was cut
        ours, theirs = (read_checkpoint(str(place / file.name), "survival") for place in (out, whole))
        different = [name for name in theirs.tensors if ours.tensors[name].tobytes() != theirs.tensors[name].tobytes()]
        unlike += len(different) + (ours.meta["best"] != theirs.meta["best"])
        print(f"{file.name}: {len(theirs.tensors) - len(different)} of {len(theirs.tensors)} tensors are equal to the bit")
    return unlike


if __name__ == "__main__":
    sys.exit(main())
