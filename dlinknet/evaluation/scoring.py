"""Predict the images of a labelled set one by one, and compare them with their masks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from dlinknet.console import Progress
from dlinknet.data.classes import Classes
from dlinknet.data.pairs import Pair
from dlinknet.data.roads import ROADS
from dlinknet.devices.ranks import Ranks
from dlinknet.evaluation.judging import judge_of
from dlinknet.evaluation.metrics import Tally, confusion
from dlinknet.evaluation.scored import Scored
from dlinknet.images.read import read_image
from dlinknet.inference.predictor import Predictor, labels_of
from dlinknet.threads import prefetch


def score(
    pairs: Sequence[Pair],
    predictor: Predictor,
    threshold: float,
    title: str,
    *,
    among: Sequence[Pair] | None = None,
    classes: Classes = ROADS,
) -> Iterator[Scored]:
    """Yield every pair with its prediction.

    Images are padded to few sizes, so that few graphs are compiled. While one
    image is computed, a thread reads the next two.

    Args:
        threshold: a pixel is road if its probability is above this. Of several classes the most
            probable is predicted.
        title: the name of the progress bar.
        among: the whole set, of which `pairs` are a part. Its sizes decide to which size an image
            is padded.
        classes: the classes of the masks.
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
    """Return the figures of a whole set, as the judge of its classes names them.

    Several processes share the work, and all receive the figures. The other arguments are those of
    `score`.

    Args:
        ranks: the processes.
    """
    tally = Tally.of(classes)
    for scored in score(
        ranks.share(pairs), predictor, threshold, title, among=pairs, classes=classes
    ):
        tally.add(scored.counts)
    *counts, dice, images = ranks.total(
        np.array([*tally.counts.ravel(), tally.dice, tally.images], np.int64)
    )
    whole = Tally(np.array(counts).reshape(tally.counts.shape), int(dice), int(images))
    return judge_of(classes).figures(whole)
