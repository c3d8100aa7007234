"""Predicts the images of a labelled set one by one and counts what is right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, Sequence

import numpy as np

from dlinknet.console import Progress
from dlinknet.data.classes import ROADS, Classes
from dlinknet.data.pairs import Pair
from dlinknet.devices.ranks import Ranks
from dlinknet.evaluation.metrics import Tally, confusion, set_figures
from dlinknet.images.read import read_image
from dlinknet.inference.predictor import Predictor, labels_of
from dlinknet.threads import prefetch


@dataclass(frozen=True)
class Scored:
    """One image with its truth and prediction: H x W x 3 uint8 BGR, and twice H x W uint8 labels (of roads 0 and 1)."""

    pair: Pair
    image: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray
    counts: np.ndarray  # as metrics.confusion gives them


def score(
    pairs: Sequence[Pair],
    predictor: Predictor,
    threshold: float,
    title: str,
    *,
    among: Sequence[Pair] | None = None,
    classes: Classes = ROADS,
) -> Iterator[Scored]:
    """Yields every pair with its prediction: road where the probability is above `threshold`, else the most probable class.

    Images share few padded sizes, so that few graphs are compiled; the next images are read while one is computed.

    Args:
        among: the set that `pairs` are a part of, whose sizes decide what each is padded to.
        classes: what the masks mean.
    """
    canvases = predictor.canvases((pair.height, pair.width) for pair in among or pairs)
    with Progress(len(pairs), title) as progress:
        for pair, (image, truth) in prefetch(
            pairs, lambda pair: (read_image(pair.image), classes.read(pair.mask)), 2
        ):
            probability = predictor.probability(image, canvases.get((pair.height, pair.width)))
            prediction = labels_of(probability, threshold)
            yield Scored(
                pair, image, truth, prediction, confusion(truth, prediction, len(classes.known))
            )
            progress.update(1)


def score_all(
    pairs: list[Pair],
    predictor: Predictor,
    threshold: float,
    title: str,
    *,
    ranks: Ranks = Ranks(),
    classes: Classes = ROADS,
) -> dict[str, float]:
    """The figures of a whole set, as metrics.figures or metrics.class_figures names them; several processes share the work and all
    get the figures."""
    tally = Tally.of(classes)
    for scored in score(
        ranks.share(pairs), predictor, threshold, title, among=pairs, classes=classes
    ):
        tally.add(scored.counts)
    *counts, dice, images = ranks.total(
        np.array([*tally.counts.ravel(), tally.dice, tally.images], np.int64)
    )
    whole = Tally(np.array(counts).reshape(tally.counts.shape), int(dice), int(images))
    return set_figures(whole, classes)
