"""Exchanges between the ranks that train together. With one rank they change nothing."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from mindspore import nn

from dlinknet.devices.ranks import Ranks
from dlinknet.errors import InputError


def check_equal_start(ranks: Ranks, start: list[Any]) -> None:
    """Wait for all ranks, and check that they start from equal values.

    Args:
        start: this rank's values, as JSON accepts them.

    Raises:
        InputError: the values of a rank differ from those of rank 0.
    """
    others = ranks.unlike(json.dumps(start, sort_keys=True))
    if others:
        raise InputError(
            f"ranks {', '.join(map(str, others))}",
            "do not start as rank 0 does: data, settings and, in a resumed run, checkpoints must "
            "be the same on every machine; copy those of rank 0",
        )


def tell_all(ranks: Ranks, answer: bool) -> bool:
    """Return rank 0's answer in every rank; the answers of other ranks must be False."""
    return bool(ranks.total(np.array([answer], np.int64))[0])


def average_statistics(ranks: Ranks, network: nn.Cell) -> None:
    """Set BatchNorm's statistics to their mean over all ranks.

    Each rank normalises its own part of a batch. Averaging commutes with the moving average, so the
    number of calls changes only the rounding.
    """
    ranks.average(p for p in network.get_parameters() if not p.requires_grad)
