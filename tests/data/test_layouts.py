"""Data sets of streets on disk: tiny trees of the real layouts."""

import os

import cv2
import numpy as np
import pytest

from dlinknet import config
from dlinknet.commands.data_sets import classes_of, evaluation_set, training_sets
from dlinknet.data.classes import IGNORED
from dlinknet.data.layouts import list_images, list_masks
from dlinknet.errors import UserError


def write(file, pixels):
    file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(file), pixels)


def grey(*values, height=8, width=12):
    """Return a mask of stripes."""
    return np.resize(np.array(values, np.uint8), (height, width))


def settings(*arguments):
    return config.load(list(arguments), "")


@pytest.fixture
def camvid(tmp_path):
    for part, count in (("train", 3), ("val", 2), ("test", 1)):
        for number in range(count):
            write(tmp_path / part / f"{part}_{number}.png", np.zeros((8, 12, 3), np.uint8))
            write(tmp_path / f"{part}annot" / f"{part}_{number}.png", grey(0, 3, 11))
    return tmp_path


@pytest.fixture
def cityscapes(tmp_path):
    """leftImg8bit/PART/CITY and gtFine/PART/CITY with the other files that lie there."""
    for part, city, number in (
        ("train", "aachen", 0),
        ("train", "bochum", 0),
        ("val", "lindau", 1),
    ):
        name = f"{city}_00000{number}_000019"
        write(
            tmp_path / "leftImg8bit" / part / city / f"{name}_leftImg8bit.png",
            np.zeros((8, 12, 3), np.uint8),
        )
        truth = tmp_path / "gtFine" / part / city
        write(truth / f"{name}_gtFine_labelIds.png", grey(7, 26, 4, 33))
        write(truth / f"{name}_gtFine_color.png", np.zeros((8, 12, 3), np.uint8))
        write(truth / f"{name}_gtFine_instanceIds.png", grey(7).astype(np.uint16))
        (truth / f"{name}_gtFine_polygons.json").write_text("{}")
    return tmp_path


def test_camvid_has_its_three_parts(camvid):
    asked = settings("--data_layout=camvid", f"--data_path={camvid}")
    classes, training, validation = training_sets(asked)
    assert [pair.id for pair in training] == ["train_0", "train_1", "train_2"] and [
        pair.id for pair in validation
    ] == ["val_0", "val_1"]
    assert (
        (training[0].height, training[0].width) == (8, 12)
        and classes.outputs == 11
        and classes.names[8] == "car"
    )
    assert classes.read(training[0].mask)[0, :3].tolist() == [0, 3, IGNORED]
    _, scored = evaluation_set(asked)
    assert [pair.id for pair in scored] == ["test_0"]
    assert (
        len(
            evaluation_set(
                settings("--data_layout=camvid", f"--data_path={camvid}", "--eval_set=val")
            )[1]
        )
        == 2
    )
    counted = classes_of(settings("--data_layout=camvid", "--ignore_index=none"))
    assert counted.outputs == 12 and counted.read(training[0].mask)[0, :3].tolist() == [0, 3, 11]


def test_cityscapes_has_19_classes_or_34(cityscapes):
    arguments = ["--data_layout=cityscapes", f"--data_path={cityscapes}"]
    classes, training, validation = training_sets(settings(*arguments))
    assert [pair.id for pair in training] == [
        "aachen_000000_000019_leftImg8bit",
        "bochum_000000_000019_leftImg8bit",
    ]
    assert [pair.id for pair in validation] == [
        "lindau_000001_000019_leftImg8bit"
    ] and classes.outputs == 19
    assert training[0].mask.name == "aachen_000000_000019_gtFine_labelIds.png"
    # road, car, static (void), bicycle: train ids 0, 13, 255, 18
    assert classes.read(training[0].mask)[0, :4].tolist() == [0, 13, IGNORED, 18]
    assert classes.written_mask(np.array([[0, 13, 18]], np.uint8)).tolist() == [[7, 26, 33]]
    every = classes_of(settings(*arguments, "--class_table=cityscapes34"))
    assert every.outputs == 34 and every.read(training[0].mask)[0, :4].tolist() == [7, 26, 4, 33]
    assert [pair.id for pair in evaluation_set(settings(*arguments, "--eval_set=val"))[1]] == [
        "lindau_000001_000019_leftImg8bit"
    ]
    with pytest.raises(UserError, match="there is no folder .*leftImg8bit/test"):
        evaluation_set(settings(*arguments))


def test_a_plain_folder_of_camvids_own_masks(tmp_path):
    """NAME.png and NAME_L.png in two folders, 32 colours; a part of them held out."""
    for number in range(4):
        write(tmp_path / "images" / f"a{number}.png", np.zeros((8, 12, 3), np.uint8))
        write(
            tmp_path / "masks" / f"a{number}_L.png", np.full((8, 12, 3), (128, 64, 128), np.uint8)
        )
    arguments = [
        "--data_layout=folder",
        f"--data_path={tmp_path / 'images'}",
        f"--label_path={tmp_path / 'masks'}",
    ]
    classes, training, validation = training_sets(
        settings(*arguments, "--class_table=camvid32", "--val_split=0.25")
    )
    assert (
        len(training) == 3 and len(validation) == 1 and (classes.read(training[0].mask) == 3).all()
    )
    classes, training, validation = training_sets(
        settings(
            *arguments,
            "--class_table=camvid32",
            f"--val_path={tmp_path / 'images'}",
            f"--val_label_path={tmp_path / 'masks'}",
        )
    )
    assert len(training) == len(validation) == 4
    assert len(evaluation_set(settings(*arguments, "--class_table=camvid32"))[1]) == 4
    with pytest.raises(UserError, match="val_label_path names masks without images"):
        training_sets(
            settings(*arguments, "--class_table=camvid32", f"--val_label_path={tmp_path / 'masks'}")
        )
    with pytest.raises(UserError, match="class_table is empty: a folder's masks need one"):
        training_sets(settings(*arguments))


def test_the_current_folder_is_a_folder_and_an_empty_name_is_none(tmp_path, monkeypatch):
    write(tmp_path / "a.png", np.zeros((8, 12, 3), np.uint8))
    monkeypatch.chdir(tmp_path)
    assert list(list_images(".")) == list(list_masks(".", {})) == ["a"]
    for attempt in (lambda: list_images(""), lambda: list_masks("", {})):
        with pytest.raises(UserError, match="is empty: name a folder"):
            attempt()


def test_mistakes_are_one_line_each(camvid):
    arguments = ["--data_layout=camvid", f"--data_path={camvid}"]

    def refused(words, *more):
        with pytest.raises(UserError, match=words) as error:
            training_sets(settings(*arguments, *more))
        assert "\n" not in str(error.value)

    (camvid / "nothing is void.yaml").write_text(
        "classes: [{name: a, colour: [0, 0, 0]}, {name: b, colour: [1, 0, 0]}]"
    )

    refused("camvid has a validation set of its own", "--val_split=0.1")
    refused("cannot read .*nothing.yaml", "--class_table=nothing.yaml")
    refused(
        "ignore_index: .*nothing is void.yaml has no void",
        "--ignore_index=none",
        f"--class_table={camvid / 'nothing is void.yaml'}",
    )
    refused(
        "DeepGlobe's masks know road alone",
        "--data_layout=deepglobe",
        "--class_weights=log",
    )
    refused(
        "DeepGlobe's masks know road alone",
        "--data_layout=deepglobe",
        "--class_table=camvid",
    )
    (camvid / "valannot" / "val_1.png").unlink()
    refused(r"1 image without a mask \(val_1.png\)")
    write(camvid / "valannot" / "val_1.png", grey(0, 12))
    refused(r"1 bad file \(val_1.png: the value 12 is of no class")
    write(camvid / "valannot" / "val_1.png", grey(0, width=13))
    refused("val_1.png: 13x8, its image 12x8")
    write(camvid / "valannot" / "val_1.png", grey(*range(12)))
    os.truncate(
        camvid / "valannot" / "val_1.png", os.path.getsize(camvid / "valannot" / "val_1.png") - 30
    )
    refused(r"1 bad file \(val_1.png: truncated\)")


def test_void_alone_is_no_fault_of_one_mask_but_of_all(camvid):
    asked = settings("--data_layout=camvid", f"--data_path={camvid}")
    write(camvid / "valannot" / "val_1.png", grey(11))
    assert len(training_sets(asked)[2]) == 2
    write(camvid / "valannot" / "val_0.png", grey(11))
    with pytest.raises(
        UserError,
        match="valannot: every pixel of every mask is void; is the class table that of these masks",
    ):
        training_sets(asked)
    # Index masks saved with three channels hold colours that the table lacks.
    # These are void, which counts as a class here.
    for part in ("val_0", "val_1"):
        write(camvid / "valannot" / f"{part}.png", np.full((8, 12, 3), 3, np.uint8))
    with pytest.raises(
        UserError, match="100.0 % of the masks' pixels have a colour that is of no class"
    ):
        training_sets(
            settings("--data_layout=camvid", f"--data_path={camvid}", "--ignore_index=none")
        )


def test_masks_of_a_folder_are_named_as_their_images_or_with_an_ending(tmp_path):
    def made(image, *masks):
        folder = tmp_path / "_".join((image, *masks))
        write(folder / "images" / f"{image}.png", np.zeros((8, 12, 3), np.uint8))
        for mask in masks:
            write(folder / "masks" / f"{mask}.png", grey(3))
        return settings(
            "--data_layout=folder",
            "--class_table=camvid",
            f"--data_path={folder / 'images'}",
            f"--label_path={folder / 'masks'}",
        )

    for image, mask in (
        ("s", "s"),
        ("s", "s_L"),
        ("s_L", "s_L"),
        ("s_sat", "s"),
        ("s_sat", "s_sat"),
    ):
        found = [(pair.id, pair.mask.stem) for pair in training_sets(made(image, mask))[1]]
        assert found == [(image.removesuffix("_sat"), mask)], (
            "the ID is what predict.py and the C++ program have"
        )
    with pytest.raises(UserError, match="two files for one ID: s.png and s_L.png"):
        training_sets(made("s", "s", "s_L"))


def test_a_tables_name_is_not_a_folders(tmp_path, monkeypatch):
    (tmp_path / "camvid").mkdir()
    monkeypatch.chdir(tmp_path)
    assert classes_of(settings("--data_layout=folder", "--class_table=camvid")).outputs == 11
