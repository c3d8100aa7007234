"""Image files: which there are, and whether they are whole."""
from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterable, Iterator

import numpy as np
from PIL import Image

from dlinknet.errors import UserError

IMAGE_TYPES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")       # Pillow's names for 8 bits and fewer a channel
ORIENTATION = 274                               # the TIFF tag
MOST_PIXELS = 2 ** 30                           # that OpenCV decodes


class BadImage(Exception):
    """A file that cannot be used. The text names it and says why: 'a_sat.jpg: truncated'."""


@dataclass(frozen=True)
class ImageFile:
    """An image without a mask. `size` is (height, width) in pixels; `fault` says why it cannot be used, or is empty."""

    id: str
    file: Path
    size: tuple[int, int]
    fault: str = ""


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Lets Pillow open what users have, without lines of its own."""
    # Pillow takes a raster of more than 179 megapixels for an attack; here it is the user's own.
    Image.MAX_IMAGE_PIXELS = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")         # it warns of what check_image reports, or of what does no harm
        yield


def check_image(file: Path, whole: bool = True, grey: bool = False) -> tuple[tuple[int, int], int]:
    """((height, width), largest grey value from 0 to 255) of an image file.

    Args:
        whole: read the file to its end; otherwise only its header is looked at.
        grey: work out the grey value too, which takes `whole`; otherwise it is 0.

    Raises:
        BadImage: it is no image, truncated, of more than 8 bits a channel, or turned by a tag that OpenCV would not see.
    """
    # Pillow refuses a truncated file; OpenCV would fill the rest with grey and say nothing to us.
    try:
        with Image.open(file) as image:
            size = image.height, image.width
            if image.mode not in MODES or ";16" in str(image.tile):     # Pillow calls 16-bit colours RGB as well
                raise BadImage(f"{file.name}: not 8 bits a channel ({image.mode}), save it with 8")
            if image.height * image.width > MOST_PIXELS:
                raise BadImage(f"{file.name}: more than {MOST_PIXELS} pixels, which OpenCV does not read; cut it into parts")
            if image.format == "TIFF" and image.getexif().get(ORIENTATION, 1) != 1:
                raise BadImage(f"{file.name}: a turned TIFF, save it without an Orientation tag")
            if not whole:
                return size, 0
            # A JPEG decoded at an eighth of its size still reads the file to its end, in a third of the time.
            image.draft("L", (max(1, image.width // 8), max(1, image.height // 8)))
            image.load()
            return size, int(np.asarray(image.convert("L")).max()) if grey else 0
    except BadImage:
        raise
    except Exception as error:  # noqa: BLE001  (Pillow's decoders raise many kinds: OSError, SyntaxError, ValueError)
        raise BadImage(f"{file.name}: {what_fails(error)}") from None


def what_fails(error: Exception) -> str:
    """What Pillow found wrong with a file, in a word: 'truncated' or 'unreadable'."""
    return "truncated" if "truncated" in str(error).lower() else "unreadable"


def need_utf8(file: Path, key: str) -> None:
    """UserError where a file's name is not UTF-8: no table could hold it."""
    try:
        file.name.encode()
    except UnicodeEncodeError:
        raise UserError(f"{key}: {file.parent}: the name {ascii(file.name)} is not UTF-8; rename the file") from None


def id_of(file: Path) -> str:
    """What an image is called everywhere: its file's name without its type and without '_sat'."""
    return file.stem.removesuffix("_sat") or file.stem


def by_id(files: Iterable[Path], place: str | Path, key: str, name: Callable[[Path], str] = id_of) -> dict[str, Path]:
    """ID -> file, sorted by ID.

    Args:
        place, key: where the files lie and the setting that said so, for the error's line.
        name: the ID that a file has.

    Raises:
        UserError: two files have one ID, or a name is not UTF-8.
    """
    found: dict[str, Path] = {}
    for file in files:
        need_utf8(file, key)
        id = name(file)
        if id in found:
            raise UserError(f"{key}: {place}: two files for one ID: {found[id].name} and {file.name}")
        found[id] = file
    return dict(sorted(found.items()))


def find_images(place: str, key: str) -> list[ImageFile]:
    """The images of a folder, or the one image that `place` is, sorted by ID, with their sizes.

    Masks (ID_mask.png) are left out. Only headers are read.

    Args:
        key: the setting that named the place, for the error's line.

    Raises:
        UserError: there is no such place or no image in it, or two images have one ID.
    """
    path = Path(place)
    if not place:
        raise UserError(f"{key} is empty: name an image or a folder with --{key}=PATH")
    try:
        files = [path] if path.is_file() else sorted(
            file for file in path.iterdir() if file.suffix.lower() in IMAGE_TYPES and not file.name.startswith(".")
            and not file.stem.endswith("_mask"))
    except OSError as error:
        raise UserError(f"{key}: cannot read {place}: {error.strerror}") from None
    if not files:
        raise UserError(f"{key}: {place} holds no image ({', '.join(IMAGE_TYPES)})")
    images = []
    with quiet_pillow():
        for id, file in by_id(files, place, key).items():
            try:
                images.append(ImageFile(id, file, check_image(file, whole=False)[0]))
            except BadImage as error:
                images.append(ImageFile(id, file, (0, 0), str(error)))
    return images
