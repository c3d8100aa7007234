"""What the masks of a data set mark, looked at before the first step: masks that say nothing are silent faults otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Optional, Sequence

import numpy as np

from dlinknet.data.classes import Classes
from dlinknet.errors import InputError, name_some
from dlinknet.images.decode import BadImage, decode, decode_alpha, decode_grey
from dlinknet.images.read import ROAD_MINIMUM, readable

MOST_UNKNOWN = 0.5  # the share of pixels with a colour of no class from which a table cannot be that of the masks


@dataclass(frozen=True)
class Marks:
    """What one mask marks.

    labels: 256 int64, how many pixels have each label (of roads 0 and 1).
    unknown: how many pixels have a colour of no class.
    largest: the largest grey value, 0 to 255, of a road mask.
    alpha: the alpha channel is not the same everywhere.
    """

    labels: np.ndarray
    unknown: int = 0
    largest: int = 0
    alpha: bool = False


def survey(file: Path, classes: Classes) -> Marks:
    """Return what a mask marks, decoded as training decodes it.

    Raises:
        UserError: what Classes.read rejects, or the drawing lies in the alpha channel, which is not read.
    """
    with readable(file):
        alpha = decode_alpha(file)
        varies = alpha is not None and int(alpha.min()) != int(alpha.max())
        if varies and (np.ptp(decode(file), (0, 1)) == 0).all():
            raise BadImage(
                f"{file.name}: one colour all over, and a drawing in its alpha channel, which is not read; save it without alpha"
            )
    if classes.road:
        with readable(file):
            grey = decode_grey(file)
        road = int((grey >= ROAD_MINIMUM).sum())
        return Marks(_counts({0: grey.size - road, 1: road}), largest=int(grey.max()), alpha=varies)
    labels, unknown = classes.read_counting(file)
    return Marks(np.bincount(labels.ravel(), minlength=256), unknown, alpha=varies)


def refuse_meaningless(marks: dict[str, Marks], classes: Classes, folder: str) -> None:
    """Check that the masks of a data set together can mean what they are taken for.

    Args:
        marks: by the masks' file names.
        folder: the masks' folder, for the error's line.

    Raises:
        InputError: road masks hold 0 and 1 only, most pixels have a colour of no class, or every
            pixel is void.
    """
    if classes.road:
        faint = [name for name, each in marks.items() if 0 < each.largest < ROAD_MINIMUM]
        ones = [name for name, each in marks.items() if each.largest == 1]
        most = max((each.largest for each in marks.values()), default=0)
        if faint and most < ROAD_MINIMUM:
            raise InputError(
                folder,
                f": no mask marks any road: road must be 255 (at least {ROAD_MINIMUM}), the largest "
                f"value in these masks is {most}",
            )
        if ones:
            raise InputError(
                folder,
                f": {_masks(ones)} 0 and 1 only ({name_some(ones)}), in which "
                f"nothing is road: road must be 255 (at least {ROAD_MINIMUM}); multiply them by 255",
            )
        return
    labels, unknown = _total(marks.values())
    if unknown > MOST_UNKNOWN * labels.sum():
        raise InputError(
            folder,
            f": {_percent(unknown, labels)} of the masks' pixels have a colour that is of no class; "
            "is the class table that of these masks? (Colour masks must not have been JPEG files; "
            "index masks have one channel.)",
        )
    if not labels[: len(classes.known)].sum():
        raise InputError(
            folder,
            ": every pixel of every mask is void; is the class table that of these masks? "
            "(Index masks have one channel, colour masks three.)",
        )


def refuse_untrainable(marks: Sequence[Optional[Marks]], classes: Classes, folder: str) -> None:
    """Check that there is something to learn from masks.

    Of roads, some pixels must be road and some must not.

    Args:
        folder: the masks' folder, for the error's line.

    Raises:
        InputError: there is not.
    """
    labels, _ = _total(each for each in marks if each is not None)
    if classes.road and labels.sum() and not labels[1]:
        raise InputError(
            folder,
            f": no mask marks any road: all {len(marks)} masks are black (road is 255)",
        )
    if classes.road and labels.sum() and not labels[0]:
        raise InputError(
            folder,
            f": every pixel of all {len(marks)} masks is road; background must be below "
            f"{ROAD_MINIMUM}",
        )


def findings(marks: Iterable[Optional[Marks]], classes: Classes, what: str) -> list[str]:
    """Return lines for the log: what a person should know about these masks.

    Args:
        what: whose masks they are, as in 'training masks'.
    """
    known = [each for each in marks if each is not None]
    labels, unknown = _total(known)
    lines = []
    alpha = sum(each.alpha for each in known)
    if alpha:
        lines.append(
            f"{what}: {alpha} have an alpha channel that is not the same everywhere; it is not read"
        )
    if classes.road:
        faint = sum(0 < each.largest < ROAD_MINIMUM for each in known)
        full = sum(bool(each.labels[1]) and not each.labels[0] for each in known)
        if faint:
            lines.append(
                f"{what}: {faint} mark no road, though they hold values from 1 to {ROAD_MINIMUM - 1} (road is from {ROAD_MINIMUM} on)"
            )
        if full:
            lines.append(f"{what}: {full} are road all over")
        return lines
    void = labels[classes.void_label] if classes.void or labels[classes.void_label] else 0
    missing = [name for name, count in zip(classes.names, labels) if not count]
    if void:
        lines.append(
            f"{what}: {_percent(void, labels)} of the pixels are void"
            + (
                f", {_percent(unknown, labels)} because their colour is of no class"
                if unknown
                else ""
            )
        )
    if missing and known:
        lines.append(f"{what}: no pixel is {name_some(missing)}")
    return lines


def _total(marks: Iterable[Marks]) -> tuple[np.ndarray, int]:
    """(pixels by label, pixels of an unknown colour) of all masks together."""
    labels, unknown = np.zeros(256, np.int64), 0
    for each in marks:
        labels += each.labels
        unknown += each.unknown
    return labels, unknown


def _counts(pixels: dict[int, int]) -> np.ndarray:
    labels = np.zeros(256, np.int64)
    for label, count in pixels.items():
        labels[label] = count
    return labels


def _percent(count: int, labels: np.ndarray) -> str:
    return f"{100 * count / max(1, labels.sum()):.1f} %"


def _masks(names: list[str]) -> str:
    return f"{len(names)} mask{'s hold' if len(names) > 1 else ' holds'}"
