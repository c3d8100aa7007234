"""The data sets that the settings name: classes, and checked pairs of images and masks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from dlinknet.config import Config, default
from dlinknet.data.checked_files import CheckedFiles
from dlinknet.data.classes import Classes
from dlinknet.data.layouts import FINDERS, TABLES, TABLES_OF_PARTS, Listed, list_part
from dlinknet.data.pairs import (
    MASK_TYPES,
    Pair,
    Recall,
    marks_by_name,
    marks_of,
    match,
    recall_nothing,
    split_pairs,
)
from dlinknet.data.preprocess import CHOICES, Preprocessing
from dlinknet.data.read_table import read_table
from dlinknet.data.roads import ROADS
from dlinknet.errors import UserError, naming


def classes_of(settings: Config) -> Classes:
    """Return the classes of the masks: those of class_table, or of the layout's own table.

    Raises:
        UserError: the settings name no table, or the table does not fit the other settings.
    """
    layout, table = settings.data_layout, settings.class_table
    if layout == "deepglobe":
        if table:
            raise UserError(
                "class_table: DeepGlobe's masks know road alone; name the layout with "
                "--data_layout=folder"
            )
        return ROADS
    if not table and layout not in TABLES_OF_PARTS:
        raise UserError(
            "class_table is empty: a folder's masks need one; configs/classes holds some"
        )
    file = Path(table) if table else TABLES / TABLES_OF_PARTS[layout]
    if not file.suffix and not file.is_file():
        file = TABLES / f"{file.name}.yaml"
    with naming("class_table"):
        classes = read_table(file, settings.ignore_index == "none")
    if classes.counted and not classes.void:
        raise UserError(f"ignore_index: {file} has no void, which could count as one more class")
    return classes


def preprocessing_of(settings: Config) -> Preprocessing:
    """Return the preprocessing of images that the settings ask for."""
    resize = (settings.resize_height, settings.resize_width) if settings.resize_width else None
    return replace(CHOICES[settings.preprocessing], resize=resize)


def training_sets(
    settings: Config, checked: Iterable[Path] = ()
) -> tuple[Classes, list[Pair], list[Pair]]:
    """Return (classes, training pairs, validation pairs).

    There are no validation pairs if the settings ask for none.

    Args:
        checked: files that remember pairs that need not be checked again.

    Raises:
        UserError: files are missing or bad, the masks have nothing to learn, or the settings
            contradict each other: two validation sets, masks without images, or class weights for
            roads.
    """
    classes, layout = classes_of(settings), settings.data_layout
    if layout == "deepglobe" and settings.class_weights != "none":
        raise UserError(
            "class_weights: DeepGlobe's masks know road alone, whose loss accepts no weights"
        )
    recall = CheckedFiles.read(checked, classes).find
    if layout in TABLES_OF_PARTS:
        if settings.val_path or settings.val_split:
            raise UserError(
                f"val_path and val_split: {layout} has a validation set of its own; "
                "leave them empty"
            )
        return (
            classes,
            _part(settings, "train", classes, recall),
            _part(settings, "val", classes, recall),
        )
    if settings.val_path and settings.val_split:
        raise UserError("val_split and val_path both name a validation set: give one of them")
    if settings.val_label_path and not settings.val_path:
        raise UserError("val_label_path names masks without images: give val_path as well")
    key = "data_path" if layout == "deepglobe" and _masks_lie_beside(settings) else "label_path"
    masks = getattr(settings, key)
    training = _folders(settings, ("data_path", key), masks, classes, recall)
    with naming(key):
        classes.refuse_untrainable(marks_of(training), masks)
    if not settings.val_path:
        with naming("val_split"):
            return classes, *split_pairs(training, settings.val_split, settings.seed)
    masks = settings.val_label_path or (settings.val_path if layout == "deepglobe" else "")
    keys = ("val_path", "val_label_path")
    return classes, training, _folders(settings, keys, masks, classes, recall)


def evaluation_set(settings: Config) -> tuple[Classes, list[Pair]]:
    """Return (classes, pairs) of the images to score.

    The images are those of data_path and label_path. In a layout with parts they are the part
    eval_set.

    Raises:
        UserError: files are missing or bad.
    """
    classes = classes_of(settings)
    if settings.data_layout in TABLES_OF_PARTS:
        return classes, _part(settings, settings.eval_set, classes)
    return classes, _folders(settings, ("data_path", "label_path"), settings.label_path, classes)


def calibration_set(settings: Config) -> tuple[Classes, list[Pair]]:
    """Return (classes, pairs) of the images by which a quantization is calibrated and measured.

    The images are those of calibration_path. In a layout with parts they are its validation set.

    Raises:
        UserError: files are missing or bad.
    """
    classes = classes_of(settings)
    if settings.data_layout in TABLES_OF_PARTS:
        with naming("calibration_path"):
            listed = list_part(settings.data_layout, Path(settings.calibration_path), "val")
        return classes, _checked(
            listed, "calibration_path", "calibration_path", classes, recall_nothing
        )
    key = "calibration_label_path" if settings.calibration_label_path else "calibration_path"
    return classes, _folders(settings, ("calibration_path", key), getattr(settings, key), classes)


def _masks_lie_beside(settings: Config) -> bool:
    """Return whether the road masks for training are in the folder of their images.

    A label_path on the command line means that they are not. A label_path in a YAML file may be
    meant for evaluation. It counts only if the folder of the images holds no mask.
    """
    if "label_path" in settings.given:
        return False
    try:
        beside = any(
            file.stem.endswith("_mask") and file.suffix.lower() in MASK_TYPES
            for file in Path(settings.data_path).iterdir()
        )
    except OSError:
        return True  # the caller reads the folder and reports the fault
    return beside or settings.label_path == default("label_path")


def _part(
    settings: Config, part: str, classes: Classes, recall: Recall = recall_nothing
) -> list[Pair]:
    """Return the pairs of a part ('train', 'val' or 'test') of a layout with parts.

    Raises:
        UserError: data_path is empty, or files are missing or bad.
    """
    if not settings.data_path:
        raise UserError("data_path is empty: name a folder")
    with naming("data_path"):
        listed = list_part(settings.data_layout, Path(settings.data_path), part)
    return _checked(listed, "data_path", "data_path", classes, recall)


def _folders(
    settings: Config,
    keys: tuple[str, str],
    masks: str,
    classes: Classes,
    recall: Recall = recall_nothing,
) -> list[Pair]:
    """Return the pairs of two folders.

    Args:
        keys: the settings that name the folder of images and, in an error's line, that of masks.
        masks: the folder of masks.

    Raises:
        UserError: files are missing or bad.
    """
    finders, images = FINDERS[settings.data_layout], getattr(settings, keys[0])
    with naming(keys[0]):
        pictures = finders.images(images)
    with naming(keys[1]):
        labels = finders.masks(masks, pictures)
    return _checked(Listed(pictures, labels, (images, masks)), *keys, classes, recall)


def _checked(
    listed: Listed, image_key: str, mask_key: str, classes: Classes, recall: Recall
) -> list[Pair]:
    """Return the pairs of listed files. The keys are the settings that an error names."""
    with naming(image_key):
        pairs = match(listed.images, listed.masks, listed.folders, classes, recall)
    with naming(mask_key):
        classes.refuse_meaningless(marks_by_name(pairs), listed.folders[1])
    return pairs
