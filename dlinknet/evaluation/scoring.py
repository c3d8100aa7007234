"""Predicts the images of a labelled set one by one and counts what is right."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, Sequence

import numpy as np

from dlinknet.console import Progress
from dlinknet.data.pairs import Pair
from dlinknet.data.preprocess import read_image, read_mask
from dlinknet.evaluation.metrics import confusion, figures
from dlinknet.evaluation.pipeline import ahead
from dlinknet.evaluation.predictor import Predictor
from dlinknet.parallel import Ranks


@dataclass(frozen=True)
class Scored:
    """One image with its truth and prediction: H x W x 3 uint8 BGR, and twice H x W uint8 of 0 and 1."""

    pair: Pair
    image: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray
    counts: np.ndarray          # 2 x 2, as metrics.confusion gives them


def score(pairs: Sequence[Pair], predictor: Predictor, threshold: float, title: str,
          among: Sequence[Pair] | None = None) -> Iterator[Scored]:
    """Yields every pair with its prediction: road where the probability is above `threshold`.

    Images share few padded sizes, so that few graphs are compiled; the next images are read while one is computed.

    Args:
        among: the set that `pairs` are a part of, whose sizes decide what each is padded to.
    """
    canvases = predictor.canvases((pair.height, pair.width) for pair in among or pairs)
    with Progress(len(pairs), title) as progress:
        for pair, (image, truth) in ahead(pairs, lambda pair: (read_image(pair.image), read_mask(pair.mask)), 2):
            probability = predictor.probability(image, canvases.get((pair.height, pair.width)))
            prediction = (probability > threshold).astype(np.uint8)
            yield Scored(pair, image, truth, prediction, confusion(truth, prediction))
            progress.update(1)


def score_all(pairs: list[Pair], predictor: Predictor, threshold: float, title: str, ranks: Ranks = Ranks()) -> dict[str, float]:
    """The figures of a whole set, as metrics.figures names them; several processes share the work and all get the figures."""
    counts = np.zeros((2, 2), np.int64)
    for scored in score(ranks.share(pairs), predictor, threshold, title, pairs):
        counts += scored.counts
    return figures(ranks.total(counts))

