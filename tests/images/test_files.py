"""Images without masks: which there are, and which cannot be used."""

import cv2
import numpy as np
import pytest

from dlinknet.errors import UserError
from dlinknet.images.files import find_images


def noise(height, width):
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)


def test_a_folders_images_are_found_by_id_without_its_masks(tmp_path):
    for name in ("b_sat.jpg", "a.png", "c_mask.png", "d.tif", ".hidden.jpg"):
        cv2.imwrite(str(tmp_path / name), noise(20, 30))
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "e_sat.jpg").write_bytes(b"")
    found = find_images(str(tmp_path))
    assert [(image.id, image.file.name, image.size, image.fault) for image in found] == [
        ("a", "a.png", (20, 30), ""),
        ("b", "b_sat.jpg", (20, 30), ""),
        ("d", "d.tif", (20, 30), ""),
        ("e", "e_sat.jpg", (0, 0), "e_sat.jpg: is empty; download or copy it again"),
    ]
    (alone,) = find_images(str(tmp_path / "c_mask.png"))
    assert alone.id == "c_mask", "a file that is named is taken as it is"


def test_places_without_images_are_refused(tmp_path):
    with pytest.raises(UserError, match=".* holds no image"):
        find_images(str(tmp_path))
    with pytest.raises(UserError, match="cannot read .*gone: No such file"):
        find_images(str(tmp_path / "gone"))
    with pytest.raises(UserError, match="is empty: name an image or a folder"):
        find_images("")
    for name in ("a.png", "a_sat.jpg"):
        cv2.imwrite(str(tmp_path / name), noise(8, 8))
    with pytest.raises(UserError, match="two files for one ID: a.png and a_sat.jpg"):
        find_images(str(tmp_path))


def test_a_name_that_no_table_can_hold_is_refused(tmp_path):
    file = tmp_path / "a.png"
    cv2.imwrite(str(file), noise(8, 8))
    file.rename(tmp_path / "\udcff.png")
    with pytest.raises(UserError, match="is not UTF-8; rename the file"):
        find_images(str(tmp_path))
