"""Measure how long a training checks its data before it starts.

Run: python benchmarks/start_up.py

The data set has copies of a few drawn scenes of 1024x1024 pixels. One process, and then four at the
same time, as the ranks of a training, check it: at a first start and at a second one.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import measure


def check(folder: str, output: str, ranks: int) -> None:
    """Check the data as a rank does, and keep the answer as rank 0 does. Print the seconds."""
    from dlinknet import config
    from dlinknet.commands import train
    from dlinknet.files.atomic import write_text

    words = [f"--data_path={folder}", f"--output_path={output}"]
    settings = config.load(
        words + ["--run_distribute=True"] * (ranks > 1), __doc__, command="train"
    )
    start = time.perf_counter()
    data = train._read_data(settings)
    seconds = time.perf_counter() - start
    Path(output).mkdir(exist_ok=True)
    write_text(Path(output, f"{settings.log_name}_checked.json"), data.checked)
    print(seconds)


def start(folder: Path, place: Path, ranks: int) -> float:
    """Return the seconds of the slowest of some ranks that check a folder at the same time."""
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, f"--folder={folder}", f"--output={place / str(rank)}"]
            + [f"--ranks={ranks}"],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(measure.ROOT), "TMPDIR": str(place)},
        )
        for rank in range(ranks)
    ]
    return max(float(process.communicate()[0]) for process in processes)


def main() -> None:
    """Measure both starts of one process and of four, and keep the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    parser.add_argument("--output", help=argparse.SUPPRESS)
    parser.add_argument("--ranks", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.folder:
        return check(options.folder, options.output, options.ranks)
    found = {}
    with tempfile.TemporaryDirectory() as name:
        drawn = Path(measure.draw_scenes(Path(name, "drawn"), 12))
        folder = Path(name, "data")
        folder.mkdir()
        ids = sorted(file.name[: -len("_sat.jpg")] for file in drawn.glob("*_sat.jpg"))
        for number in range(options.images):
            for ending in ("_sat.jpg", "_mask.png"):
                source = drawn / f"{ids[number % len(ids)]}{ending}"
                shutil.copy(source, folder / f"copy{number}{ending}")
        for ranks in (1, 4):
            place = Path(name, f"of{ranks}")
            place.mkdir()
            for which in ("first", "second"):
                found[f"{ranks} {which}"] = seconds = start(folder, place, ranks)
                print(f"{options.images} images, {ranks} ranks, {which} start: {seconds:.1f} s")
    measure.keep("start_up", {"images": options.images, "seconds": found})


if __name__ == "__main__":
    main()
