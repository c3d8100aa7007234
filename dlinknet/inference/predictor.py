"""An image -> its probability map: padding, tiles, test-time augmentation, batches.

Pure NumPy; an engine computes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice, product
from typing import Callable, cast

import cv2
import numpy as np

from dlinknet.data.augment import UPRIGHT
from dlinknet.data.preprocess import pad, resized
from dlinknet.errors import InputError
from dlinknet.inference.engines import Engine
from dlinknet.inference.tiles import (
    EIGHT_VIEWS,
    ONE_VIEW,
    TWO_VIEWS,
    Tiling,
    Views,
    along,
    blend_weights,
    shared_canvases,
)
from dlinknet.threads import prefetch


class Predictor:
    """Run an engine on images of any size.

    An image with a side of more than the tiling's size is computed in tiles. If the engine
    accepts one size only, all tiles have that size, and smaller images are padded to it by
    reflection. Tiles start at multiples of 32, as the network's strides require. Overlaps are
    blended. Each tile contributes alone on the 3/8 of the overlap farthest from its own edge; the
    middle quarter is a linear fade.

    Args:
        engine: computes the tiles.
        tiling: how images are cut. Its size does not count for an engine of one size; its overlap
            is capped at a tile less 32, or at a quarter tile for such an engine.
        fixed: (height, width) of all tiles, as if the engine accepted this size only.

    Raises:
        InputError: the tiling has views with quarter turns, and all tiles have one size that is not
            square.
    """

    def __init__(
        self, engine: Engine, tiling: Tiling = Tiling(), fixed: tuple[int, int] | None = None
    ):
        self.engine, self.size = engine, engine.size or fixed
        self.tile_size, self.overlap, self.views, self.resize = tiling
        if self.size and self.size[0] != self.size[1] and any(turns for turns, _ in self.views):
            raise InputError(
                f"a model of {self.size[1]}x{self.size[0]} pixels",
                "has no views that are turned by a quarter, which requires a square",
            )

    def tiles(self, height: int, width: int) -> int:
        """Return the number of tiles of an image."""
        height, width = self.resize or (height, width)
        return len(self._axes(height, width)[0][1]) * len(self._axes(height, width)[1][1])

    def canvases(self, sizes: Iterable[tuple[int, int]]) -> dict[tuple[int, int], tuple[int, int]]:
        """Return size -> the canvas to which its images are padded, for sizes of a single tile.

        It is empty for an engine of one size, and if images are resized.
        """
        if self.size or self.resize:
            return {}
        return shared_canvases({size for size in sizes if self.tiles(*size) == 1})

    def probability(self, image: np.ndarray, canvas: tuple[int, int] | None = None) -> np.ndarray:
        """Return the probability of road, H x W float32, or of C classes, C x H x W.

        Args:
            image: H x W x 3 uint8, BGR.
            canvas: as in `bands`.
        """
        result: np.ndarray | None = None
        for top, rows in self.bands(image, canvas):
            if result is None:
                result = np.empty((*rows.shape[:-2], *image.shape[:2]), np.float32)
            result[..., top : top + rows.shape[-2], :] = rows
        assert result is not None, "an image has a band"
        return result

    def bands(
        self,
        image: np.ndarray,
        canvas: tuple[int, int] | None = None,
        tile_done: Callable[[], None] = lambda: None,
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (first row, probabilities) from top to bottom, one row of tiles at a time.

        The memory beside the image does not grow with its height, unless it is resized. A yielded
        array is overwritten later. Probabilities are rows x W float32, of C classes C x rows x W.

        Args:
            image: H x W x 3 uint8, BGR.
            canvas: (height, width), multiples of 32 not below the image's, to which an image of a
                single tile is padded by reflection; by default the smallest. Images on one canvas
                share one compiled graph.
            tile_done: called after each tile.
        """
        if self.resize is None or self.resize == image.shape[:2]:
            yield from self._bands(image, canvas, tile_done)
            return
        whole = np.concatenate(
            [
                rows.copy()
                for _, rows in self._bands(resized(image, self.resize), canvas, tile_done)
            ],
            -2,
        )
        back = [
            cv2.resize(one, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
            for one in whole.reshape(-1, *self.resize)
        ]
        yield 0, np.stack(back).reshape(*whole.shape[:-2], *image.shape[:2])

    def _bands(
        self, image: np.ndarray, canvas: tuple[int, int] | None, tile_done: Callable[[], None]
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Yield as `bands` does, for an image that is not resized."""
        height, width = image.shape[:2]
        (tall, tops), (wide, lefts) = self._axes(height, width)
        if self.size is None and canvas is not None and len(tops) == len(lefts) == 1:
            tall, wide = canvas
        weights_down, weights_across = blend_weights(tops, tall), blend_weights(lefts, wide)
        held: np.ndarray | None = None  # the rows that are not yet complete
        places = ((top, left, view) for top, left, view in product(tops, lefts, self.views))

        def make_input(place: tuple) -> np.ndarray:
            top, left, (turns, flip) = place
            tile = pad(image[top : top + tall, left : left + wide], tall, wide)
            return self.engine.prepare(np.ascontiguousarray(np.rot90(tile, turns)[flip]))

        computed = self._computed(prefetch(places, make_input, self.engine.batch))
        for number, top in enumerate(tops):
            for left, across in zip(lefts, weights_across):
                views = (
                    np.rot90(probability[(Ellipsis,) + flip], -turns, (-2, -1))
                    for (_, _, (turns, flip)), probability in islice(computed, len(self.views))
                )
                tile = cast(np.ndarray, sum(views))
                if held is None:
                    held = np.zeros((*tile.shape[:-2], tall, width), np.float32)
                rows, columns = min(tall, height - top), min(wide, width - left)
                weight = weights_down[number][:rows, None] * across[:columns]
                held[..., :rows, left : left + columns] += weight * (
                    tile[..., :rows, :columns] / len(self.views)
                )
                tile_done()
            assert held is not None, "a row has a tile"
            complete = (tops[number + 1] if number + 1 < len(tops) else height) - top
            yield top, held[..., :complete, :]
            held[..., :-complete, :] = held[..., complete:, :].copy()
            held[..., -complete:, :] = 0

    def _computed(
        self, inputs: Iterable[tuple[tuple, np.ndarray]]
    ) -> Iterator[tuple[tuple, np.ndarray]]:
        """Yield (place, H x W probabilities) for (place, input), in order.

        The engine gets full batches; the last input fills the last batch.
        """
        inputs = iter(inputs)
        while group := list(islice(inputs, self.engine.batch)):
            batch = [pixels for _, pixels in group]
            batch += batch[-1:] * (self.engine.batch - len(group))
            yield from zip(
                (place for place, _ in group),
                self.engine(np.stack(batch) if len(batch) > 1 else batch[0][None]),
            )

    def _axes(self, height: int, width: int) -> tuple[tuple[int, list[int]], tuple[int, list[int]]]:
        """Return the side and the starts of the tiles along an image's height and its width."""
        tall, wide = self.size or (None, None)
        return (
            along(height, self.tile_size, self.overlap, tall),
            along(width, self.tile_size, self.overlap, wide),
        )


def views_of(tta: bool, augment: str) -> Views:
    """Return the views that test-time augmentation averages.

    They are the 8 flipped and turned views, as D-LinkNet's authors test. If training flipped scenes
    left-right alone, because they have a sky above, they are the image and its mirror image.

    Args:
        augment: how training augmented, a level of data/augment.py.
    """
    if not tta:
        return ONE_VIEW
    return TWO_VIEWS if augment in UPRIGHT else EIGHT_VIEWS


def labels_of(probability: np.ndarray, threshold: float) -> np.ndarray:
    """Return labels, H x W uint8.

    Args:
        probability: H x W of road, or C x H x W of classes.
        threshold: road (1) is above it. Of several classes the most probable one is the label.
    """
    return (
        (probability > threshold).astype(np.uint8)
        if probability.ndim == 2
        else probability.argmax(0).astype(np.uint8)
    )
