"""Where the images and masks of a data set lie: the setting `data_layout`.

deepglobe   ID_sat.jpg beside ID_mask.png (pairs.py): road or not
camvid      the SegNet tutorial's: train/NAME.png + trainannot/NAME.png, and val, test in the same way
cityscapes  leftImg8bit/train/CITY/NAME_leftImg8bit.png + gtFine/train/CITY/NAME_gtFine_labelIds.png, and val, test
folder      images and index or colour masks in two folders: NAME.jpg and NAME.png (or NAME_L.png, as CamVid's own)
"""

from __future__ import annotations

from pathlib import Path
from typing import Callable

from dlinknet.config import Config, default
from dlinknet.data.classes import ROADS, Classes, read_table
from dlinknet.data.masks import refuse_untrainable
from dlinknet.data.pairs import MASK_TYPES, Pair, matched, read_pairs, split_pairs
from dlinknet.errors import UserError
from dlinknet.files.shipped import shipped
from dlinknet.images.files import IMAGE_TYPES, by_id, id_of, images_of

TABLES = shipped("configs/classes")
OWN_TABLES = shipped("configs/classes")
OWN_PARTS = (
    "camvid",
    "cityscapes",
)  # layouts with a training, a validation and a test set of their own


def classes_of(settings: Config) -> Classes:
    """What the masks mean: class_table, or the table of the layout. UserError where there is none."""
    if settings.data_layout == "deepglobe":
        if settings.class_table:
            raise UserError(
                "class_table: DeepGlobe's masks know road alone; name the layout with --data_layout=folder"
            )
        return ROADS
    if not settings.class_table and settings.data_layout not in OWN_TABLES:
        raise UserError(
            "class_table is empty: a folder's masks need one; configs/classes holds some"
        )
    file = (
        Path(settings.class_table)
        if settings.class_table
        else TABLES / OWN_TABLES[settings.data_layout]
    )
    if not file.suffix and not file.is_file():
        file = TABLES / f"{file.name}.yaml"
    classes = read_table(file, "class_table", settings.ignore_index == "none")
    if classes.counted and not classes.void:
        raise UserError(f"ignore_index: {file} has no void, which could count as one more class")
    return classes


def training_sets(settings: Config) -> tuple[Classes, list[Pair], list[Pair]]:
    """(classes, training, validation) pairs; no validation pairs where none were asked for.

    Raises:
        UserError: what classes_of, read_pairs, split_pairs and matched raise, or the settings name two validation sets, or masks
            without images, or weights of classes where there is road alone, or the training masks mark no road or nothing else.
    """
    classes, layout = classes_of(settings), settings.data_layout
    if classes.road and settings.class_weights != "none":
        raise UserError(
            "class_weights: DeepGlobe's masks know road alone, whose loss takes no weights"
        )
    if layout in OWN_PARTS:
        if settings.val_path or settings.val_split:
            raise UserError(
                f"val_path and val_split: {layout} has a validation set of its own; leave them empty"
            )
        return classes, _part(settings, "train", classes), _part(settings, "val", classes)
    if settings.val_path and settings.val_split:
        raise UserError("val_split and val_path both name a validation set: give one of them")
    if settings.val_label_path and not settings.val_path:
        raise UserError("val_label_path names masks without images: give val_path as well")
    key = "data_path" if layout == "deepglobe" and _masks_lie_beside(settings) else "label_path"
    training = _folder(settings.data_path, getattr(settings, key), "data_path", key, classes)
    refuse_untrainable([pair.marks for pair in training], classes, key)
    if not settings.val_path:
        return classes, *split_pairs(training, settings.val_split, settings.seed)
    masks = settings.val_label_path or (settings.val_path if layout == "deepglobe" else "")
    return (
        classes,
        training,
        _folder(settings.val_path, masks, "val_path", "val_label_path", classes),
    )


def _masks_lie_beside(settings: Config) -> bool:
    """Whether the road masks to train on lie beside their images.

    A label_path on the command line says that they do not. One in a YAML file may be meant for evaluation: it counts where no mask lies
    beside the images.
    """
    if "label_path" in settings.given:
        return False
    try:
        beside = any(
            file.stem.endswith("_mask") and file.suffix.lower() in MASK_TYPES
            for file in Path(settings.data_path).iterdir()
        )
    except OSError:
        return True  # _folder says what is wrong with it
    return beside or settings.label_path == default("label_path")


def evaluation_set(settings: Config) -> tuple[Classes, list[Pair]]:
    """(classes, pairs) to score: of data_path and label_path, or the part eval_set of a layout with parts of its own.

    Raises:
        UserError: what classes_of, read_pairs and matched raise.
    """
    classes = classes_of(settings)
    if settings.data_layout in OWN_PARTS:
        return classes, _part(settings, settings.eval_set, classes)
    return classes, _folder(
        settings.data_path, settings.label_path, "data_path", "label_path", classes
    )


def _part(settings: Config, part: str, classes: Classes) -> list[Pair]:
    """The training, validation or test set ('train', 'val', 'test') of a layout that has these."""
    root, keys = Path(settings.data_path), ("data_path", "data_path")
    if not settings.data_path:
        raise UserError("data_path is empty: name a folder with --data_path=FOLDER")
    if settings.data_layout == "camvid":
        images, masks = root / part, root / f"{part}annot"
        return matched(
            _listed(images, "*", IMAGE_TYPES),
            _listed(masks, "*", MASK_TYPES),
            (str(images), str(masks)),
            keys,
            classes,
        )
    images, masks = root / "leftImg8bit" / part, root / "gtFine" / part
    # An ID is an image's whole stem, as predict.py and the C++ program have it.
    pictures = _listed(images, "*/*_leftImg8bit", (".png",))
    labels = _listed(
        masks,
        "*/*_gtFine_labelIds",
        (".png",),
        "data_path",
        lambda mask: mask.stem.replace("_gtFine_labelIds", "_leftImg8bit"),
    )
    return matched(pictures, labels, (str(images), str(masks)), keys, classes)


def _folder(images: str, masks: str, image_key: str, mask_key: str, classes: Classes) -> list[Pair]:
    if classes.road:
        return read_pairs(images, masks, image_key, mask_key)
    for folder, key in ((images, image_key), (masks, mask_key)):
        if not folder:
            raise UserError(f"{key} is empty: name a folder with --{key}=FOLDER")
    pictures = _listed(Path(images), "*", IMAGE_TYPES, image_key)
    labels = _listed(
        Path(masks),
        "*",
        MASK_TYPES,
        mask_key,
        lambda mask: id_of(mask) if id_of(mask) in pictures else id_of(mask).removesuffix("_L"),
    )
    return matched(pictures, labels, (images, masks), (image_key, mask_key), classes)


def _listed(
    folder: Path,
    pattern: str,
    types: tuple[str, ...],
    key: str = "data_path",
    name: Callable[[Path], str] = id_of,
) -> dict[str, Path]:
    """ID (`name` gives it) -> file, for the files below `folder` whose path without its type matches."""
    if not folder.is_dir():
        raise UserError(f"{key}: there is no folder {folder}")
    found = by_id(images_of(folder, folder.glob(f"{pattern}.*"), types=types), folder, key, name)
    if not found:
        raise UserError(f"{key}: {folder} holds no file {pattern}{types[0]}")
    return found
