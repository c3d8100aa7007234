"""Tiles of images of any length: they cover every pixel, and their weights sum to 1."""

import numpy as np
import pytest

from dlinknet.inference.tiles import SIDES, along, blend_weights

hypothesis = pytest.importorskip("hypothesis", reason="pip install -r requirements-dev.txt")
given, strategies = hypothesis.given, hypothesis.strategies

LENGTHS = strategies.integers(1, 20_000)
TILES = strategies.integers(2, 96).map(lambda number: 32 * number)


@given(length=LENGTHS, tile=TILES, share=strategies.floats(0, 1))
def test_tiles_cover_every_pixel_and_overlap_enough(length, tile, share):
    overlap = int(share * (tile - 32))
    side, starts = along(length, tile, overlap)
    padded = -(-length // 32) * 32
    assert side % 32 == 0 and side <= max(tile, padded) and starts[0] == 0
    assert all(start % 32 == 0 for start in starts) and starts == sorted(set(starts))
    assert starts[-1] + side >= length and starts[-1] < length, "the last pixel, and no tile beyond"
    for before, after in zip(starts, starts[1:]):
        assert before + side - after >= min(overlap, side - 32)
    if len(starts) > 1:
        assert side <= tile and (side % SIDES == 0 or side == tile)


@given(length=LENGTHS, fixed=TILES, overlap=strategies.integers(0, 512))
def test_tiles_of_one_size_share_at_most_a_quarter(length, fixed, overlap):
    side, starts = along(length, 1536, overlap, fixed)
    assert side == fixed and all(start % 32 == 0 for start in starts)
    assert starts[-1] + side >= length
    for before, after in zip(starts, starts[1:]):
        assert before + side - after >= min(overlap, side // 4, side - 32)


@given(length=LENGTHS, tile=TILES, share=strategies.floats(0, 1))
def test_the_weights_of_all_tiles_sum_to_one_at_every_pixel(length, tile, share):
    side, starts = along(length, tile, int(share * (tile - 32)))
    total = np.zeros(starts[-1] + side)
    for start, weights in zip(starts, blend_weights(starts, side)):
        assert weights.shape == (side,) and weights.dtype == np.float32
        assert weights.min() >= 0 and weights.max() <= 1
        total[start : start + side] += weights
    assert np.allclose(total, 1, atol=1e-6)
