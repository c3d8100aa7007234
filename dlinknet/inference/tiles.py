"""Cut images into tiles, blend overlapping tiles, and choose canvases. Pure NumPy."""

from __future__ import annotations

from itertools import count
from typing import NamedTuple

import numpy as np

from dlinknet.data.preprocess import STRIDE, round_up

ALL, UP, LEFT, BOTH = np.s_[:, :], np.s_[::-1, :], np.s_[:, ::-1], np.s_[::-1, ::-1]
Views = tuple  # of (quarter turns, the flip after them)
ONE_VIEW: Views = ((0, ALL),)
TWO_VIEWS: Views = ((0, ALL), (0, LEFT))
EIGHT_VIEWS: Views = tuple((turns, flip) for turns in (0, 1) for flip in (ALL, UP, LEFT, BOTH))
# Tiles have few sizes, multiples of this, because MindSpore compiles a graph for each size.
SIDES = 128


class Tiling(NamedTuple):
    """How an image is cut into tiles, and over which views its probabilities are averaged.

    size: the longest side of a tile in pixels, a multiple of 32. overlap: the minimum overlap of
    neighbouring tiles in pixels. views: the flipped and turned views of each tile whose
    probabilities are averaged. resize: the (height, width) to which images are resized first.
    """

    size: int = 1536
    overlap: int = 256
    views: Views = ONE_VIEW
    resize: tuple[int, int] | None = None


def shared_canvases(sizes: set[tuple[int, int]]) -> dict[tuple[int, int], tuple[int, int]]:
    """Return size -> canvas, the (height, width) to which its images are padded.

    There are few canvases, because MindSpore compiles a graph for each. Sizes share a canvas if its
    area is at most twice the area that the smallest of them needs. So images of similar sizes share
    one, and a small image is not padded to the size of a huge one.
    """
    groups: list[tuple[tuple[int, int], list[tuple[int, int]]]] = []
    for size in sorted(sizes, key=lambda s: (-np.prod(round_up(*s)), s)):
        own = round_up(*size)
        for index, (canvas, members) in enumerate(groups):
            joint = max(canvas[0], own[0]), max(canvas[1], own[1])
            # Members come by falling area, so this size is the smallest.
            if joint[0] * joint[1] <= 2 * own[0] * own[1]:
                groups[index] = joint, members + [size]
                break
        else:
            groups.append((own, [size]))
    return {size: canvas for canvas, members in groups for size in members}


def blend_weights(starts: list[int], side: int) -> list[np.ndarray]:
    """Return the weight of each tile at each of its pixels: arrays of `side` float32, 0 to 1.

    At every pixel the weights of all tiles sum to 1. A tile begins to count at 3/8 of the
    (smallest) overlap from its border. Within the next quarter it replaces its neighbour.
    """
    shared = min((start + side - after for start, after in zip(starts, starts[1:])), default=0)
    ramp = max(1, shared // 4)
    # taken[i] is, at each pixel of the axis, the weight of tile i and all later tiles together.
    pixel = np.arange(starts[-1] + side) + 0.5
    middles = [(after + start + side) / 2 for start, after in zip(starts, starts[1:])]
    taken = [
        np.ones_like(pixel),
        *(np.clip((pixel - middle) / ramp + 0.5, 0, 1) for middle in middles),
        np.zeros_like(pixel),
    ]
    return [
        (taken[i] - taken[i + 1])[start : start + side].astype(np.float32)
        for i, start in enumerate(starts)
    ]


def along(
    length: int, tile_size: int, overlap: int, fixed: int | None = None
) -> tuple[int, list[int]]:
    """Return (side of a tile, starts of the tiles) along `length` pixels, all multiples of 32.

    Choose the fewest tiles that overlap by at least `overlap` pixels.

    Args:
        tile_size: the longest side of a tile, a multiple of 32.
        overlap: in pixels, capped at 32 less than the side, and at a quarter of `fixed`.
        fixed: the tile's side, if the engine accepts one size only.
    """
    padded, _ = round_up(length, length)
    if padded <= (fixed or tile_size):
        return fixed or padded, [0]
    for number in count(2):
        side = -(-(padded + (number - 1) * overlap) // number)
        side = fixed or min(tile_size, -(-side // SIDES) * SIDES)
        # With the overlap of large tiles, small ones would cost hundreds of times the work.
        shared = min(overlap, side // 4 if fixed else side, side - STRIDE)
        starts = [i * ((padded - side) // STRIDE) // (number - 1) * STRIDE for i in range(number)]
        if max(after - start for start, after in zip(starts, starts[1:])) <= side - shared:
            return side, starts
    raise AssertionError("a tile is longer than the overlap")
