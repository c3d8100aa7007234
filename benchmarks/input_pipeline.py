"""Measure the training images per second and core, and the time that training waits for them.

Run: python benchmarks/input_pipeline.py

The images are drawn scenes of 1024x1024 pixels (JPEG, masks PNG). First it measures on one core:
reading alone, and the whole pipeline (reading, all augmentations, normalising, batches of 4). Then
it trains D-LinkNet34 for one epoch on all cores (512x512 crops, batch 2), and measures the share of
the time that the training waits for the next batch. The first batch counts, the compilation does
not. Last, a stand-in for a fast device sleeps in place of each step, and it measures the share of
the time that this device is busy: with more and more threads, with float32 batches and with bytes,
and with outcomes that are read at once or one step late.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import measure
import sides

if TYPE_CHECKING:
    from dlinknet.data.loader import TrainingLoader


def pairs_of(folder: str) -> list:
    """Return the pairs of the drawn scenes."""
    from dlinknet.data.pairs import read_pairs

    return read_pairs(folder, folder)


def one_core(folder: str, repeats: int) -> None:
    """Measure the images per second on one core: reading alone, and the whole pipeline."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    from dlinknet.devices import runtime

    runtime.start("CPU", 0, 1)
    import cv2

    from dlinknet.data.loader import Batching, TrainingLoader
    from dlinknet.data.roads import ROADS
    from dlinknet.images.read import read_image

    cv2.setNumThreads(1)
    pairs = pairs_of(folder)
    loader = TrainingLoader(pairs, Batching(4))
    epochs = iter(range(1, 1000))
    reading = measure.repeated(
        lambda: [(read_image(p.image), ROADS.read(p.mask)) for p in pairs], repeats
    )
    whole = measure.repeated(lambda: [batch for batch in loader.epoch(next(epochs))], repeats)
    measure.answer(seconds=whole, images=len(loader) * 4, reading=reading, read=len(pairs))


def waiting(folder: str) -> None:
    """Measure the share of an epoch that the training waits for data."""
    _, step = sides.training_step()
    from dlinknet.data.loader import Batching, TrainingLoader

    loader = TrainingLoader(pairs_of(folder), Batching(2, (512, 512), workers=4))
    step(*next(iter(loader.epoch(1))))[0].asnumpy()  # compiles
    waited, start = 0.0, time.perf_counter()
    batches = loader.epoch(2)
    while True:
        asked = time.perf_counter()
        batch = next(batches, None)
        waited += time.perf_counter() - asked
        if batch is None:
            break
        step(*batch)[0].asnumpy()
    measure.answer(seconds=[time.perf_counter() - start], waited=waited, steps=len(loader))


class FastDevice:
    """A stand-in for a device that takes steps one after another, beside this process.

    Args:
        seconds: the duration of a step.
    """

    def __init__(self, seconds: float):
        self.seconds, self.free = seconds, 0.0

    def step(self, *batch: Any) -> Outcome:
        """Give the device a step. Return its outcome without waiting for it."""
        self.free = max(self.free, time.perf_counter()) + self.seconds
        return Outcome(self.free)


class Outcome(NamedTuple):
    """The outcome of a step that ends at a moment."""

    end: float

    def asnumpy(self) -> None:
        """Wait for the end of the step."""
        time.sleep(max(0.0, self.end - time.perf_counter()))


def busy(folder: str, seconds: float, repeats: int) -> None:
    """Measure the share of an epoch that a fast device is busy, for several ways to feed it."""
    from dlinknet.devices import runtime

    runtime.start("CPU", 0, 1)
    import cv2

    from dlinknet.data.loader import Batching, TrainingLoader

    cv2.setNumThreads(1)
    cores = len(os.sched_getaffinity(0))
    shares: dict[str, Any] = {}
    pairs = pairs_of(folder)
    variants = [
        (workers, pixels, late)
        for workers in sorted({1, 2, cores, 2 * cores})
        for pixels in (False, True)
        for late in (False, True)
    ]
    for _ in range(repeats):
        for workers, pixels, late in variants:
            loader = TrainingLoader(pairs, Batching(4, workers=workers, pixels=pixels))
            loader.workers = workers  # also more than there are cores
            kind = "bytes" if pixels else "float32"
            shares.setdefault(f"{workers} {kind} {late}", []).append(
                busy_share(loader, seconds, late)
            )
    shares = {name: statistics.median(found) for name, found in shares.items()}
    measure.answer(seconds=[], shares=shares, cores=cores)


def busy_share(loader: TrainingLoader, seconds: float, late: bool) -> float:
    """Return the share of an epoch that a fast device is busy.

    Args:
        late: whether the outcome of a step is read after the next step has been given to it.
    """
    from dlinknet.training.step import one_behind

    device, start = FastDevice(seconds), time.perf_counter()
    outcomes = (device.step(*batch) for batch in loader.epoch(1))
    for outcome in one_behind(outcomes, lambda: not late):
        outcome.asnumpy()
    return len(loader) * seconds / (time.perf_counter() - start)


def main() -> None:
    """Measure both parts, each in its own process, and keep the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument(
        "--step_seconds", type=float, default=0.1, help="duration of a step of the fast device"
    )
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        if options.side == "one core":
            return one_core(options.folder, options.repeats)
        if options.side == "busy":
            return busy(options.folder, options.step_seconds, options.repeats)
        return waiting(options.folder)
    with tempfile.TemporaryDirectory() as name:
        folder = measure.draw_scenes(Path(name), options.images)
        rate = measure.side(
            __file__, "one core", f"--folder={folder}", f"--repeats={options.repeats}"
        )
        epoch = measure.side(__file__, "waiting", f"--folder={folder}")
        device = measure.side(
            __file__,
            "busy",
            f"--folder={folder}",
            f"--step_seconds={options.step_seconds}",
            f"--repeats={options.repeats}",
        )
    per_core = rate["images"] / statistics.median(rate["seconds"])
    reading = rate["read"] / statistics.median(rate["reading"])
    share = epoch["waited"] / epoch["seconds"][0]
    print(
        f"input pipeline, 1024x1024 JPEG, all augmentations: {per_core:.1f} images/s per core "
        f"(reading alone: {reading:.1f})"
    )
    print(
        f"waiting for data: {100 * share:.2f} % of an epoch of {epoch['steps']} steps "
        "(512x512, batch 2)"
    )
    print(
        f"a device whose steps of 4 x 1024 x 1024 need {options.step_seconds:g} s, on "
        f"{device['cores']} cores:"
    )
    for name, busy_share in device["shares"].items():
        workers, kind, late = name.split()
        when = "one step late" if late == "True" else "at once"
        print(f"  {workers} threads, {kind}, outcomes read {when}: busy {100 * busy_share:.0f} %")
    measure.keep(
        "input_pipeline",
        {
            "images_per_second_and_core": per_core,
            "reading_alone": reading,
            "share_of_an_epoch_waiting": share,
            "steps": epoch["steps"],
            "step_seconds_of_fast_device": options.step_seconds,
            "busy_by_threads_and_lateness": device["shares"],
        },
    )


if __name__ == "__main__":
    main()
