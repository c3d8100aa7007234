"""Measure the difference between masks that are predicted in tiles and as a whole.

The image is a mosaic of 4 x 4 images of one size. The network is a trained one. Run:
python benchmarks/tile_difference.py --images=roads_epfl/valid \\
    --trained_ckpt=OUTPUT/quality_best.ckpt
"""

import argparse
from pathlib import Path

import measure
import numpy as np

# (tile_size, tile_overlap). The first pair has the default values.
TILES = ((1536, 256), (1024, 128), (512, 128))


def main() -> None:
    """Measure the difference for each size of tiles, print it and keep it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--images", required=True, help="a folder with at least 16 images of one size"
    )
    parser.add_argument("--trained_ckpt", required=True)
    options = parser.parse_args()
    from dlinknet.devices import runtime

    runtime.start("auto", 0, 1)
    from dlinknet.checkpoints.load import load_trained
    from dlinknet.images.files import find_images
    from dlinknet.images.read import read_image
    from dlinknet.inference.engines import NetworkEngine
    from dlinknet.inference.predictor import Predictor
    from dlinknet.inference.tiles import Tiling

    network = load_trained(options.trained_ckpt, "dlinknet34").network
    images = [read_image(Path(image.file)) for image in find_images(options.images)[:16]]
    mosaic = np.vstack([np.hstack(images[4 * row : 4 * row + 4]) for row in range(4)])
    height, width = mosaic.shape[:2]
    whole = Predictor(
        NetworkEngine(network), Tiling(32 * (max(height, width) // 32 + 1), 0)
    ).probability(mosaic)
    found = []
    for size, overlap in TILES:
        predictor = Predictor(NetworkEngine(network), Tiling(size, overlap))
        probability = predictor.probability(mosaic)
        differs = float(((probability > 0.5) != (whole > 0.5)).mean())
        found.append(
            {
                "tile_size": size,
                "tile_overlap": overlap,
                "tiles": predictor.tiles(height, width),
                "share_of_pixels_that_differ": differs,
                "mean_difference": float(np.abs(probability - whole).mean()),
            }
        )
        print(
            f"{width}x{height} in {found[-1]['tiles']} tiles of at most {size} that overlap by "
            f"{overlap}: {100 * differs:.2f} % of the mask's pixels differ from the whole image's"
        )
    measure.keep("tile_difference", {"width": width, "height": height, "tiles": found})


if __name__ == "__main__":
    main()
