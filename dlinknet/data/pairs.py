"""Find, check and split pairs of images and masks.

DeepGlobe names them ID_sat.jpg and ID_mask.png, side by side.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Callable, Optional, TypeVar

from dlinknet.data.classes import Classes
from dlinknet.data.masks import Marks
from dlinknet.data.roads import ROADS
from dlinknet.errors import InputError, UserError, name_some
from dlinknet.files.results import new_folders
from dlinknet.files.states import FileState, state_of
from dlinknet.images.decode import prove, read_header
from dlinknet.images.files import IMAGE_TYPES, by_id, images_of
from dlinknet.images.formats import BadImage
from dlinknet.threads import usable_cores

MASK_TYPES = (".png", ".tif", ".tiff")
# Images with more pixels are checked one at a time, so that the memory in use stays bounded.
LARGE = 2**25
# The folders of the model zoo's D-LinkNet: training images and masks, validation images, and their
# masks.
LAYOUT = ["train", "valid", "valid_mask"]

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Pair:
    """One image and its mask.

    height, width: of both, in pixels; 0 if they are not known. marks: the mask's marks; None if the
    mask was not surveyed. states: those of image and mask before they were read; None if they were
    not read.
    """

    id: str
    image: Path
    mask: Path
    height: int = 0
    width: int = 0
    marks: Marks | None = field(default=None, compare=False, repr=False)
    states: tuple[FileState, FileState] | None = field(default=None, compare=False, repr=False)


# Returns a pair with its size and marks if it need not be checked, else None.
Recall = Callable[[Pair], Optional[Pair]]


def recall_nothing(pair: Pair) -> None:
    """Have every pair checked."""


def read_pairs(image_folder: str, mask_folder: str) -> list[Pair]:
    """Return every pair of two folders (which may be one), sorted by ID.

    Each file is decoded once and checked.

    Args:
        image_folder: holds ID_sat.jpg (or .jpeg, .png, .tif).
        mask_folder: holds ID_mask.png (or .tif), road where a pixel is at least 128.

    Raises:
        InputError: a folder is missing or without images, or `match` or Roads.refuse_meaningless
            rejects the files.
    """
    images, masks = find_road_images(image_folder), find_masks(mask_folder)
    pairs = match(images, masks, (image_folder, mask_folder), ROADS)
    ROADS.refuse_meaningless(marks_by_name(pairs), mask_folder)
    return pairs


def match(
    images: dict[str, Path],
    masks: dict[str, Path],
    folders: tuple[str, str],
    classes: Classes,
    recall: Recall = recall_nothing,
) -> list[Pair]:
    """Return the pairs of images and masks, sorted by ID. Each file is decoded once and checked.

    Args:
        images, masks: files by ID.
        folders: of images and masks, for the error's line.
        classes: the classes of the masks.
        recall: knows the pairs that need not be checked.

    Raises:
        InputError: an image has no mask or a mask no image, a file is unreadable, truncated or of
            more than 8 bits a channel, sizes or EXIF orientations differ, or a mask holds a value
            or colour of no class.
    """
    without_mask, without_image = images.keys() - masks.keys(), masks.keys() - images.keys()
    pairs = [Pair(id, images[id], masks[id]) for id in sorted(images.keys() & masks.keys())]
    recalled = {pair.id: known for pair in pairs if (known := recall(pair)) is not None}
    checked = _checked([pair for pair in pairs if pair.id not in recalled], classes)
    broken = sorted(fault for _, fault in checked if fault)
    faults = [
        _counted(
            [images[id].name for id in sorted(without_mask)],
            "image without a mask",
            "images without a mask",
        ),
        _counted(
            [masks[id].name for id in sorted(without_image)],
            "mask without an image",
            "masks without an image",
        ),
        _counted(broken, "bad file", "bad files"),
    ]
    found = "; ".join(fault for fault in faults if fault)
    if found:
        where = " and ".join(dict.fromkeys(folders))
        raise InputError(where, f": {found}; repair or remove them")
    return sorted([*recalled.values(), *(pair for pair, _ in checked)], key=lambda pair: pair.id)


def marks_of(pairs: list[Pair]) -> list[Marks]:
    """Return the marks of the masks of checked pairs."""
    return [pair.marks for pair in pairs if pair.marks is not None]


def marks_by_name(pairs: list[Pair]) -> dict[str, Marks]:
    """Return the marks of the masks of checked pairs, by the masks' file names."""
    return {pair.mask.name: pair.marks for pair in pairs if pair.marks is not None}


def mask_lines(pairs: list[Pair], classes: Classes, what: str) -> list[str]:
    """Return lines for the log on the peculiarities of a set's masks.

    Args:
        what: the name of the masks, such as 'training masks'.
    """
    return classes.findings(marks_of(pairs), what)


def split_pairs(pairs: list[Pair], share: float, seed: int) -> tuple[list[Pair], list[Pair]]:
    """Return (training, validation): a repeatable split that holds out round(share * n) pairs.

    A share above 0 holds out at least one pair. Hashes of the seed and the IDs decide which. The
    order of the pairs, the machine and NumPy's version do not matter, and images added later hardly
    do.

    Raises:
        InputError: nothing would be left to train on.
    """
    if share == 0:
        return pairs, []
    count = max(1, round(share * len(pairs)))
    if count >= len(pairs):
        raise InputError(share, f"of {len(pairs)} images leaves none to train on")
    drawn = sorted(pairs, key=lambda pair: hashlib.sha256(f"{seed}:{pair.id}".encode()).digest())
    held_out = {pair.id for pair in drawn[:count]}
    return [p for p in pairs if p.id not in held_out], [p for p in pairs if p.id in held_out]


def write_split(training: list[Pair], validation: list[Pair], folder: Path, link: bool) -> None:
    """Write a split into the folders of LAYOUT.

    Args:
        folder: receives the three folders.
        link: True for symbolic links to the files, False for copies.

    Raises:
        UserError: one of the folders exists and is not empty.
    """
    layout = {
        "train": [path for pair in training for path in (pair.image, pair.mask)],
        "valid": [pair.image for pair in validation],
        "valid_mask": [pair.mask for pair in validation],
    }
    with new_folders(folder, LAYOUT) as stage:
        for name, files in layout.items():
            for file in files:
                if link:
                    (stage / name / file.name).symlink_to(file.resolve())
                else:
                    shutil.copyfile(file, stage / name / file.name)


def find_road_images(folder: str) -> dict[str, Path]:
    """Return ID -> ID_sat.jpg (or .jpeg, .png, .tif) of a folder, as `find_masks` does."""
    return _named(folder, "_sat", IMAGE_TYPES)


def find_masks(folder: str) -> dict[str, Path]:
    """Return ID -> ID_mask.png (or .tif) of a folder, sorted by ID.

    Raises:
        InputError: the folder cannot be read or holds no such file, or two have one ID.
    """
    return _named(folder, "_mask", MASK_TYPES)


def _named(folder: str, ending: str, types: tuple[str, ...]) -> dict[str, Path]:
    """Return ID -> file for the files named ID + ending + one of the types."""
    if not folder:
        raise InputError("", "is empty: name a folder")
    try:
        every = list(Path(folder).iterdir())
    except (OSError, ValueError) as error:  # ValueError: a NUL byte
        raise InputError(
            folder, f": {getattr(error, 'strerror', error)}", before="cannot read the folder"
        ) from None
    files = sorted(file for file in every if file.suffix.lower() in types)
    named = images_of(Path(folder), every, lambda file: file.stem.endswith(ending), types)
    found = by_id(named, folder, lambda file: file.stem[: -len(ending)])
    if not found:
        raise InputError(
            folder,
            f"holds no file named ID{ending}{types[0]}"
            + (f" (but {name_some([file.name for file in files], 3)})" if files else ""),
        )
    return found


def _counted(names: list[str], one: str, many: str) -> str:
    """Return '2 bad files (a, b)'; empty if there is none."""
    return f"{len(names)} {one if len(names) == 1 else many} ({name_some(names)})" if names else ""


def _checked(pairs: list[Pair], classes: Classes) -> list[tuple[Pair, str]]:
    """Return the pairs with size and marks, each with its fault in words or '', in any order."""
    # Decoding releases Python's lock, so threads use every core.
    sized = _in_threads(_sized, pairs)
    small = [(pair, fault) for pair, fault in sized if pair.height * pair.width <= LARGE]
    large = [(pair, fault) for pair, fault in sized if pair.height * pair.width > LARGE]
    return [
        *_in_threads(lambda each: _check(*each, classes), small),
        *(_check(pair, fault, classes) for pair, fault in large),
    ]


def _sized(pair: Pair) -> tuple[Pair, str]:
    """Return (the pair with its size, its fault in words or ''), from the headers alone."""
    with suppress(OSError):  # read_header says what is wrong with such a file
        pair = replace(pair, states=(state_of(pair.image), state_of(pair.mask)))
    try:
        image, mask = read_header(pair.image), read_header(pair.mask)
    except BadImage as error:
        return pair, str(error)
    if image.turn != mask.turn:
        return pair, (
            f"{pair.image.name}: its EXIF orientation is {image.turn}, its mask's {mask.turn} "
            "(1 is upright), so that they do not match as stored: save both upright; or, if they "
            "match as stored, remove the orientation"
        )
    if image.size != mask.size:
        return pair, (
            f"{pair.mask.name}: {mask.size[1]}x{mask.size[0]}, "
            f"its image {image.size[1]}x{image.size[0]}"
        )
    return replace(pair, height=image.size[0], width=image.size[1]), ""


def _check(pair: Pair, fault: str, classes: Classes) -> tuple[Pair, str]:
    """Return (the pair with its mask's marks, its fault in words or '').

    The files are decoded as in training, unless `fault` names a fault already.
    """
    if fault:
        return pair, fault
    try:
        prove(pair.image)
        return replace(pair, marks=classes.survey(pair.mask)), ""
    except BadImage as error:
        return pair, str(error)
    except UserError as error:
        return pair, str(error).replace(f"{pair.mask.parent}{os.sep}", "")


def _in_threads(function: Callable[[Item], Result], items: list[Item]) -> list[Result]:
    with ThreadPoolExecutor(min(16, usable_cores())) as pool:
        return list(pool.map(function, items))
