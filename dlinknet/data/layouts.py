"""The layouts of data sets: the folders and names of images and masks.

deepglobe   ID_sat.jpg beside ID_mask.png (pairs.py): road or not
camvid      as in SegNet's tutorial: train/NAME.png + trainannot/NAME.png; val, test in the same way
cityscapes  leftImg8bit/train/CITY/NAME_leftImg8bit.png and, in the same way,
            gtFine/train/CITY/NAME_gtFine_labelIds.png; val, test
folder      images and index or colour masks in two folders: NAME.jpg and NAME.png (or NAME_L.png,
            as in CamVid's own download)
"""

from __future__ import annotations

from pathlib import Path
from typing import Callable, NamedTuple

from dlinknet.data.pairs import MASK_TYPES, find_masks, find_road_images
from dlinknet.errors import InputError
from dlinknet.files.shipped import shipped
from dlinknet.images.files import IMAGE_TYPES, by_id, id_of, images_of

TABLES = shipped("configs/classes")
# Layouts with a training, a validation and a test set of their own, and their class tables.
TABLES_OF_PARTS = {"camvid": "camvid.yaml", "cityscapes": "cityscapes19.yaml"}


class Listed(NamedTuple):
    """The files of a set by ID, and the folders in which images and masks lie."""

    images: dict[str, Path]
    masks: dict[str, Path]
    folders: tuple[str, str]


def list_part(layout: str, root: Path, part: str) -> Listed:
    """Return the files of a part of a data set.

    Args:
        layout: 'camvid' or 'cityscapes'.
        root: the data set's folder.
        part: 'train', 'val' or 'test'.

    Raises:
        InputError: a folder is missing or empty, or two files have one ID.
    """
    if layout == "camvid":
        images, masks = root / part, root / f"{part}annot"
        pictures = _listed(images, "*", IMAGE_TYPES)
        labels = _listed(masks, "*", MASK_TYPES)
    else:
        images, masks = root / "leftImg8bit" / part, root / "gtFine" / part
        # An ID is an image's whole stem, as for predict.py and the C++ program.
        pictures = _listed(images, "*/*_leftImg8bit", (".png",))
        labels = _listed(masks, "*/*_gtFine_labelIds", (".png",), _id_of_cityscapes)
    return Listed(pictures, labels, (str(images), str(masks)))


def list_images(folder: str) -> dict[str, Path]:
    """Return the images of a folder by ID. InputError if there is none, or two have one ID."""
    return _listed(_path_of(folder), "*", IMAGE_TYPES)


def list_masks(folder: str, images: dict[str, Path]) -> dict[str, Path]:
    """Return the masks of a folder by the ID of their image. InputError as for `list_images`."""

    def to_id(mask: Path) -> str:
        return id_of(mask) if id_of(mask) in images else id_of(mask).removesuffix("_L")

    return _listed(_path_of(folder), "*", MASK_TYPES, to_id)


class Finders(NamedTuple):
    """The functions that find the files of two folders by ID.

    images: folder -> images. masks: (folder, images) -> masks.
    """

    images: Callable[[str], dict[str, Path]]
    masks: Callable[[str, dict[str, Path]], dict[str, Path]]


# The layouts that consist of two folders.
FINDERS = {
    "deepglobe": Finders(find_road_images, lambda folder, images: find_masks(folder)),
    "folder": Finders(list_images, list_masks),
}


def _id_of_cityscapes(mask: Path) -> str:
    return mask.stem.replace("_gtFine_labelIds", "_leftImg8bit")


def _path_of(folder: str) -> Path:
    """Return the folder as a path. InputError if the text is empty."""
    if not folder:
        raise InputError("", "is empty: name a folder")
    return Path(folder)


def _listed(
    folder: Path, pattern: str, types: tuple[str, ...], to_id: Callable[[Path], str] = id_of
) -> dict[str, Path]:
    """Return the files below a folder by ID.

    Args:
        pattern: of the files' paths below the folder, without the type.
        types: the endings of the files.
        to_id: returns the ID of a file.

    Raises:
        InputError: the folder is missing or holds no such file, or two files have one ID.
    """
    if not folder.is_dir():
        raise InputError(folder, "", "there is no folder")
    found = by_id(images_of(folder, folder.glob(f"{pattern}.*"), types=types), folder, to_id)
    if not found:
        raise InputError(folder, f"holds no file {pattern}{types[0]}")
    return found
