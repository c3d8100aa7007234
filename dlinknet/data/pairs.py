"""Finds, checks and splits pairs of images and masks: ID_sat.jpg beside ID_mask.png, as DeepGlobe names them."""

from __future__ import annotations

import hashlib
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Callable, Optional, TypeVar

from dlinknet.data.classes import ROADS, Classes
from dlinknet.data.masks import Marks, findings, refuse_meaningless, survey
from dlinknet.errors import InputError, UserError, name_some
from dlinknet.files.results import new_folders
from dlinknet.images.decode import BadImage, prove, read_header
from dlinknet.images.files import IMAGE_TYPES, by_id, images_of

MASK_TYPES = (".png", ".tif", ".tiff")
LARGE = 2**25  # pixels of an image that is checked alone, so that the memory in use stays bounded
LAYOUT = [
    "train",
    "valid",
    "valid_mask",
]  # the seed's folders: images and masks to train on, images, their masks


Item, Result = TypeVar("Item"), TypeVar("Result")


@dataclass(frozen=True)
class Pair:
    """One image, its mask, their common size in pixels and what the mask marks."""

    id: str
    image: Path
    mask: Path
    height: int = 0
    width: int = 0
    marks: Optional[Marks] = field(default=None, compare=False, repr=False)


def read_pairs(image_folder: str, mask_folder: str) -> list[Pair]:
    """Return every pair of two folders (which may be one), sorted by ID.

    Each file is decoded once and checked.

    Args:
        image_folder: holds ID_sat.jpg (or .jpeg, .png, .tif).
        mask_folder: holds ID_mask.png (or .tif), road where a pixel is at least 128.

    Raises:
        InputError: a folder is missing or without images, or what `match` and
            masks.refuse_meaningless reject.
    """
    images, masks = find_road_images(image_folder), find_masks(mask_folder)
    pairs = match(images, masks, (image_folder, mask_folder), ROADS)
    refuse_meaningless({pair.mask.name: pair.marks for pair in pairs}, ROADS, mask_folder)
    return pairs


def match(
    images: dict[str, Path],
    masks: dict[str, Path],
    folders: tuple[str, str],
    classes: Classes,
) -> list[Pair]:
    """The pairs of images and masks by ID, sorted, each file decoded once and checked.

    Args:
        folders: where they lie, for the error's line.
        classes: what the masks mean.

    Raises:
        UserError: an image has no mask or a mask no image, a file is unreadable, truncated or of more than 8 bits a channel, sizes or
            EXIF orientations differ, a mask holds what is of no class, or masks.refuse_meaningless rejects all together.
    """
    where = " and ".join(dict.fromkeys(folders))
    faults = [
        _fault(
            sorted(images.keys() - masks.keys()),
            images,
            "image without a mask",
            "images without a mask",
        ),
        _fault(
            sorted(masks.keys() - images.keys()),
            masks,
            "mask without an image",
            "masks without an image",
        ),
    ]
    found = [Pair(id, images[id], masks[id]) for id in sorted(images.keys() & masks.keys())]
    # Decoding releases Python's lock, so threads use every core.
    sized = _in_threads(_sized, found)
    small = [(pair, fault) for pair, fault in sized if pair.height * pair.width <= LARGE]
    checked = [
        *_in_threads(lambda each: _check(*each, classes), small),
        *(
            _check(pair, fault, classes)
            for pair, fault in sized
            if pair.height * pair.width > LARGE
        ),
    ]
    broken = sorted(fault for _, fault in checked if fault)
    if broken:
        faults.append(
            f"{len(broken)} bad file{'s' if len(broken) > 1 else ''} ({name_some(broken)})"
        )
    faults = [fault for fault in faults if fault]
    if faults:
        raise InputError(where, f": {'; '.join(faults)}; repair or remove them")
    return sorted((pair for pair, _ in checked), key=lambda pair: pair.id)


def marks_of(pairs: list[Pair]) -> list[Marks]:
    """Return what the masks of checked pairs mark."""
    return [pair.marks for pair in pairs if pair.marks is not None]


def mask_lines(pairs: list[Pair], classes: Classes, what: str) -> list[str]:
    """Return lines for the log: what a person should know about the masks of a set; `what` is as in masks.findings."""
    return findings([pair.marks for pair in pairs], classes, what)


def split_pairs(pairs: list[Pair], share: float, seed: int) -> tuple[list[Pair], list[Pair]]:
    """(training, validation): a seeded, repeatable split that holds out round(share * n) pairs, at least one.

    Who is held out depends on the seed and the IDs alone, by hash: not on their order, the machine or NumPy's version, and
    hardly on images added later.

    Raises:
        UserError: nothing would be left to train on.
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
    """Writes a split in the seed's layout: train (images and masks), valid (images), valid_mask (masks).

    Args:
        folder: receives the three folders; UserError where one of them is there and not empty.
        link: symbolic links to the files instead of copies.
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
    """Return ID -> ID_sat.jpg (or .jpeg, .png, .tif) of a folder. InputError as for `find_masks`."""
    return _named(folder, "_sat", IMAGE_TYPES)


def find_masks(folder: str) -> dict[str, Path]:
    """ID -> ID_mask.png (or .tif) of a folder, sorted by ID. UserError where there is none, or two have one ID."""
    return _named(folder, "_mask", MASK_TYPES)


def _named(folder: str, ending: str, types: tuple[str, ...]) -> dict[str, Path]:
    """ID -> file for the files named ID + ending + one of the types."""
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


def _fault(ids: list[str], files: dict[str, Path], one: str, many: str) -> str:
    return (
        f"{len(ids)} {one if len(ids) == 1 else many} ({name_some([files[id].name for id in ids])})"
        if ids
        else ""
    )


def _sized(pair: Pair) -> tuple[Pair, str]:
    """The pair with its size, and what is wrong with it in words, from the headers alone: nothing is decoded whose sizes differ."""
    try:
        image, mask = read_header(pair.image), read_header(pair.mask)
    except BadImage as error:
        return pair, str(error)
    if image.turn != mask.turn:
        return pair, (
            f"{pair.image.name}: its EXIF orientation is {image.turn}, its mask's {mask.turn} (1 is upright), so that they do not "
            "match as stored: save both upright; or, if they match as stored, remove the orientation"
        )
    if image.size != mask.size:
        return (
            pair,
            f"{pair.mask.name}: {mask.size[1]}x{mask.size[0]}, its image {image.size[1]}x{image.size[0]}",
        )
    return replace(pair, height=image.size[0], width=image.size[1]), ""


def _check(pair: Pair, fault: str, classes: Classes) -> tuple[Pair, str]:
    """The pair with what its mask marks, and what is wrong with it, decoded as training will decode it; `fault` is known already."""
    if fault:
        return pair, fault
    try:
        prove(pair.image)
        return replace(pair, marks=survey(pair.mask, classes)), ""
    except BadImage as error:
        return pair, str(error)
    except UserError as error:
        return pair, str(error).replace(f"{pair.mask.parent}{os.sep}", "")


def _in_threads(function: Callable[[Item], Result], items: list[Item]) -> list[Result]:
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        return list(pool.map(function, items))
