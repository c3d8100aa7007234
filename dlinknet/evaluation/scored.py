"""One image of a labelled set with its prediction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dlinknet.data.pairs import Pair


@dataclass(frozen=True)
class Scored:
    """One image with its truth and prediction.

    image: H x W x 3 uint8 BGR. truth, prediction: H x W uint8 labels (of roads 0 and 1). counts:
    K x K int64, as metrics.confusion returns them.
    """

    pair: Pair
    image: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray
    counts: np.ndarray
