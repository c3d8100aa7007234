"""Compare the prediction of a 6000x5000 image with the network alone on its tiles.

Run: python benchmarks/large_image.py

It measures speed and memory.
"""

import argparse
import tempfile
import time
from pathlib import Path

import cv2
import measure
import numpy as np
import sides

TILE, OVERLAP = 1536, 256  # the defaults of tile_size and tile_overlap


def bare_network(height: int, width: int, weights: Path, calls: int) -> None:
    """Measure the seconds of the network alone on one tile, without preparing its input."""
    infer = sides.mindspore_inference(height, width, weights)
    measure.answer(seconds=measure.repeated(infer, calls))


def whole_prediction(file: Path, folder: Path, only_count: bool) -> None:
    """Measure the seconds from the file to mask and overlay on disk, without the compilation.

    Args:
        folder: receives mask and overlay.
        only_count: only return the number of tiles and their size.
    """
    from dlinknet.devices import runtime

    runtime.start("CPU", 0, 1)
    from dlinknet.images.files import find_images
    from dlinknet.inference.engines import NetworkEngine
    from dlinknet.inference.predict_images import predict
    from dlinknet.inference.predictor import Predictor
    from dlinknet.inference.tiles import Tiling, along
    from dlinknet.inference.write_predictions import PredictionFiles
    from dlinknet.models import build
    from dlinknet.threads import BackgroundWriter

    predictor = Predictor(NetworkEngine(build("dlinknet34", 1)), Tiling(TILE, OVERLAP))
    images = find_images(str(file))
    height, width = (
        along(length, predictor.tile_size, predictor.overlap)[0] for length in images[0].size
    )
    if only_count:
        return measure.answer(tiles=predictor.tiles(*images[0].size), tile=[height, width])
    predictor.probability(np.zeros((height, width, 3), np.uint8))  # compiles
    (folder / "overlays").mkdir(exist_ok=True)
    start = time.perf_counter()
    files = PredictionFiles(folder, "none", True)
    with BackgroundWriter() as writer:
        for predicted in predict(images, predictor, 0.5, "none"):
            writer.do(files.write, predicted)
    measure.answer(seconds=[time.perf_counter() - start])


def main() -> None:
    """Measure both sides in turn, print the ratios and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=6000)
    parser.add_argument("--height", type=int, default=5000)
    parser.add_argument(
        "--calls",
        type=int,
        default=5,
        help="number of calls of the network alone that each round measures",
    )
    parser.add_argument("--rounds", type=int, default=3)
    for hidden in ("--side", "--folder", "--tile"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side in ("predictor", "tiles"):
        return whole_prediction(
            Path(options.folder) / "large.jpg", Path(options.folder), options.side == "tiles"
        )
    if options.side:
        return bare_network(
            *map(int, options.tile.split("x")), Path(options.folder) / "weights.npz", options.calls
        )
    with tempfile.TemporaryDirectory() as name:
        draw(Path(name), options.height, options.width)
        whole = measure.side(__file__, "tiles", f"--folder={name}")
        tile = "x".join(map(str, whole["tile"]))
        found = measure.in_turn(
            __file__,
            ["network", "predictor"],
            options.rounds,
            f"--folder={name}",
            f"--tile={tile}",
            f"--calls={options.calls}",
        )
    bare, predicted = found["network"], found["predictor"]
    megapixels = options.width * options.height / 1e6
    share = bare["seconds"] * whole["tiles"] / predicted["seconds"]
    computed = whole["tiles"] * whole["tile"][0] * whole["tile"][1] / 1e6
    more = predicted["peak_gb"] - bare["peak_gb"]
    print(
        f"{options.width}x{options.height} in {whole['tiles']} tiles of {tile}: "
        f"{predicted['seconds']:.1f} s, tiles per second {100 * share:.1f} % of the network alone; "
        f"{computed / megapixels:.2f} pixels computed per pixel of the image"
    )
    print(
        f"peak memory {predicted['peak_gb']:.2f} GB, {more:.2f} GB above the network alone on one "
        f"tile ({bare['peak_gb']:.2f} GB)"
    )
    measure.keep(
        "large_image",
        {
            "width": options.width,
            "height": options.height,
            "tiles": whole["tiles"],
            "tile": whole["tile"],
            "predictor": predicted,
            "network_on_a_tile": bare,
            "share_of_the_network": share,
            "pixels_computed_for_each": computed / megapixels,
        },
    )


def draw(folder: Path, height: int, width: int) -> None:
    """Write large.jpg: drawn scenes side by side."""
    scenes = [
        cv2.imread(str(file))
        for file in sorted(measure.draw_scenes(folder / "scenes", 4).glob("*_sat.*"))
    ]
    row = np.hstack([scenes[i % len(scenes)] for i in range(-(-width // 1024))])
    large = np.vstack([np.roll(row, 1024 * i, axis=1) for i in range(-(-height // 1024))])[
        :height, :width
    ]
    cv2.imwrite(str(folder / "large.jpg"), large)


if __name__ == "__main__":
    main()
