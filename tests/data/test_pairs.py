"""Pairs: found, checked, sorted, split."""

import os
import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from dlinknet.data.pairs import read_pairs, split_pairs, write_split
from dlinknet.data.roads import ROADS
from dlinknet.errors import UserError
from dlinknet.images.read import read_image
from tests.conftest import stripes, write_pair


def read(folder, masks=None):
    return read_pairs(str(folder), str(masks or folder))


def test_pairs_are_sorted_and_measured(tmp_path):
    for id, size in (("b", (40, 64)), ("a10", (64, 64)), ("a2", (64, 64))):
        write_pair(tmp_path, id, *stripes(1, *size))
    (tmp_path / "readme.txt").write_text("not an image")
    assert [(p.id, p.height, p.width) for p in read(tmp_path)] == [
        ("a10", 64, 64),
        ("a2", 64, 64),
        ("b", 40, 64),
    ]


def test_images_and_masks_may_lie_in_two_folders_and_be_png_or_tif(tmp_path):
    image, mask = stripes(1)
    (tmp_path / "m").mkdir()
    cv2.imwrite(str(tmp_path / "x_sat.tif"), image)
    cv2.imwrite(str(tmp_path / "y_sat.PNG"), image)
    cv2.imwrite(str(tmp_path / "m" / "x_mask.png"), mask)
    cv2.imwrite(str(tmp_path / "m" / "y_mask.png"), mask)
    assert [p.image.name for p in read(tmp_path, tmp_path / "m")] == ["x_sat.tif", "y_sat.PNG"]


def spoil(folder, what):
    file = folder / ("r1_mask.png" if what.endswith("mask") else "r1_sat.jpg")
    if what.startswith("lost"):
        file.unlink()
    elif what.startswith("truncated"):
        file.write_bytes(file.read_bytes()[:-40])
    elif what.startswith("deep"):  # 16 bits: Pillow would clip what OpenCV divides by 256
        file.write_bytes(cv2.imencode(".png", np.full((64, 64), 255, np.uint16))[1].tobytes())
    elif what.startswith("turned"):
        Image.new("RGB", (64, 64)).save(file, "TIFF", tiffinfo={274: 6})
    elif what.startswith("text"):
        file.write_text("hello")
    else:
        cv2.imwrite(str(file), np.zeros((32, 64, 3), np.uint8))


@pytest.mark.parametrize(
    "what, words",
    [
        ("lost image", "1 mask without an image (r1_mask.png)"),
        ("lost mask", "1 image without a mask (r1_sat.jpg)"),
        ("truncated image", "r1_sat.jpg: truncated"),
        ("truncated mask", "r1_mask.png: truncated"),
        ("text image", "r1_sat.jpg: is no image"),
        ("text mask", "r1_mask.png: is no image"),
        ("deep mask", "r1_mask.png: not 8 bits a channel"),
        ("deep image", "r1_sat.jpg: not 8 bits a channel"),
        ("turned image", "r1_sat.jpg: a turned TIFF"),
        ("size image", "r1_mask.png: 64x64, its image 64x32"),
    ],
)
def test_every_fault_is_named_and_counted(stripe_data, what, words):
    spoil(stripe_data, what)
    with pytest.raises(UserError) as error:
        read(stripe_data)
    assert words in str(error.value)


def test_many_faults_are_one_line(stripe_data):
    for number in range(4):
        (stripe_data / f"r{number}_mask.png").unlink()
    (stripe_data / "r4_sat.jpg").write_text("")
    (stripe_data / "r5_sat.jpg").unlink()
    with pytest.raises(UserError) as error:
        read(stripe_data)
    text = str(error.value)
    assert "4 images without a mask (r0_sat.jpg, r1_sat.jpg, r2_sat.jpg, r3_sat.jpg)" in text
    assert (
        "1 mask without an image (r5_mask.png)" in text
        and "1 bad file (r4_sat.jpg: is empty;" in text
    )
    assert "\n" not in text


def test_folders_without_images_are_refused(tmp_path):
    with pytest.raises(UserError, match="cannot read the folder .*nowhere"):
        read(tmp_path / "nowhere")
    (tmp_path / "photo.jpg").write_bytes(b"")
    with pytest.raises(UserError, match="holds no file named ID_sat.jpg .but photo.jpg"):
        read(tmp_path)


def test_one_id_twice_is_refused(stripe_data):
    shutil.copy(stripe_data / "r1_sat.jpg", stripe_data / "r1_sat.jpeg")
    with pytest.raises(UserError, match="two files for one ID"):
        read(stripe_data)


def test_masks_of_zero_and_one_are_recognised(tmp_path):
    image, mask = stripes(1)
    write_pair(tmp_path, "a", image, mask // 255)
    with pytest.raises(UserError, match="road must be 255 .* largest value in these masks is 1"):
        read(tmp_path)
    write_pair(tmp_path, "a", image, mask * 0)
    assert len(read(tmp_path)) == 1  # truly empty masks are data


def test_a_name_that_is_no_utf8_is_refused(stripe_data):
    os.rename(stripe_data / "r1_sat.jpg", os.fsencode(stripe_data) + b"/caf\xe9_sat.jpg")
    with pytest.raises(UserError, match="is not UTF-8; rename the file"):
        read(stripe_data)


def test_a_turn_in_a_files_exif_moves_neither_image_nor_mask(tmp_path):
    image, mask = stripes(1, 40, 64)
    write_pair(tmp_path, "a", image, mask)
    exif = Image.Exif()
    exif[274] = 6
    Image.open(tmp_path / "a_sat.jpg").save(tmp_path / "a_sat.jpg", exif=exif)
    Image.open(tmp_path / "a_mask.png").save(tmp_path / "a_mask.png", exif=exif)
    (pair,) = read(tmp_path)
    assert read_image(pair.image).shape == (40, 64, 3) and ROADS.read(pair.mask).shape == (
        40,
        64,
    ) == (pair.height, pair.width)


def test_a_split_is_repeatable_and_hardly_moves_when_images_come(tmp_path):
    for number in range(30):
        write_pair(tmp_path, f"i{number:02d}", *stripes(number, 32, 32))
    pairs = read(tmp_path)
    training, held_out = split_pairs(pairs, 0.1, seed=4)
    assert len(held_out) == 3 and len(training) == 27
    assert [p.id for p in training] == sorted(p.id for p in training)
    assert {p.id for p in training} | {p.id for p in held_out} == {p.id for p in pairs}
    assert split_pairs(list(reversed(pairs)), 0.1, seed=4)[1] == list(reversed(held_out))
    assert split_pairs(pairs, 0.1, seed=5)[1] != held_out
    fewer = [p for p in pairs if p.id != training[0].id]
    assert split_pairs(fewer, 0.1, seed=4)[1] == held_out


def test_a_split_leaves_something_to_train_on(stripe_data):
    pairs = read(stripe_data)
    assert split_pairs(pairs, 0.0, 1) == (pairs, [])
    assert len(split_pairs(pairs, 0.01, 1)[1]) == 1
    with pytest.raises(UserError, match="none to train on"):
        split_pairs(pairs, 0.95, 1)


@pytest.mark.parametrize("link", [True, False])
def test_a_written_split_reads_back(stripe_data, tmp_path, link):
    training, held_out = split_pairs(read(stripe_data), 0.34, 1)
    out = tmp_path / "out"
    write_split(training, held_out, out, link)
    assert [p.id for p in read(out / "train")] == [p.id for p in training]
    assert [p.id for p in read(out / "valid", out / "valid_mask")] == [p.id for p in held_out]
    assert (out / "train" / f"{training[0].id}_sat.jpg").is_symlink() == link
    assert sorted(p.name for p in out.iterdir()) == ["train", "valid", "valid_mask"]
    with pytest.raises(UserError, match="has train, valid, valid_mask already"):
        write_split(training, held_out, out, link)
