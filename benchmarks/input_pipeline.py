"""Measure the training images per second and core, and the time that training waits for them.

Run: python benchmarks/input_pipeline.py

The images are drawn scenes of 1024x1024 pixels (JPEG, masks PNG). First it measures on one core:
reading alone, and the whole pipeline (reading, all augmentations, normalising, batches of 4). Then
it trains D-LinkNet34 for one epoch on all cores (512x512 crops, batch 2), and measures the share of
the time that the training waits for the next batch. The first batch counts, the compilation does
not.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import measure
import sides


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


def main() -> None:
    """Measure both parts, each in its own process, and keep the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        return (
            one_core(options.folder, options.repeats)
            if options.side == "one core"
            else waiting(options.folder)
        )
    with tempfile.TemporaryDirectory() as name:
        folder = measure.draw_scenes(Path(name), options.images)
        rate = measure.side(
            __file__, "one core", f"--folder={folder}", f"--repeats={options.repeats}"
        )
        epoch = measure.side(__file__, "waiting", f"--folder={folder}")
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
    measure.keep(
        "input_pipeline",
        {
            "images_per_second_and_core": per_core,
            "reading_alone": reading,
            "share_of_an_epoch_waiting": share,
            "steps": epoch["steps"],
        },
    )


if __name__ == "__main__":
    main()
