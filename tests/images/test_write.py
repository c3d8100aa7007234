"""Image files that are written."""

import cv2
import numpy as np

from dlinknet.images.write import JPEG_SIDE, write_image


def test_a_jpeg_of_one_column_keeps_a_pixel_when_it_is_made_smaller(tmp_path):
    write_image(tmp_path / "a.jpg", np.full((3 * JPEG_SIDE, 1, 3), 90, np.uint8))
    picture = cv2.imread(str(tmp_path / "a.jpg"))
    assert picture.shape == (JPEG_SIDE, 1, 3) and np.abs(picture.astype(int) - 90).max() <= 2
