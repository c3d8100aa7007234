"""An image file -> its pixels. The only place that decodes image files.

The same code checks a file and reads it later. Pillow decodes, but only the formats of
formats.FORMATS: its decoder of EPS, for example, runs another program.
"""

from __future__ import annotations

import ctypes
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import PIL
from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from dlinknet.images.formats import BadImage, check_chunks, check_claims, kind_of
from dlinknet.images.stored import stored
from dlinknet.images.tiff import fault_of_tiff

DECODER = f"Pillow {PIL.__version__}"
ORIENTATION = 274  # the EXIF tag


@dataclass(frozen=True)
class Header:
    """The header of an image file.

    size: (height, width) in pixels, as stored. turn: the EXIF orientation, 1 (upright) to 8.
    """

    size: tuple[int, int]
    turn: int = 1


@dataclass(frozen=True)
class Values:
    """A mask's pixels as they are stored.

    pixels: H x W uint8 (grey values or indices of a palette) or H x W x 3 uint8, RGB.
    palette: N x 3 uint8, RGB: the colour of each index; None without a palette.
    bits: of a grey value, 1, 2, 4 or 8. Grey values of fewer than 8 bits are scaled to 0 to 255.
    """

    pixels: np.ndarray
    palette: np.ndarray | None = None
    bits: int = 8


class OpenImage:
    """An image file that `opened` has opened.

    Its pixels are decoded once, however many methods are called.
    """

    def __init__(self, image: ImageFile):
        self._image = image
        self._bits = _grey_bits(image)  # Pillow forgets them when it decodes

    def header(self) -> Header:
        """Return the header. No pixel is decoded."""
        image, turn = self._image, 1
        # If a PNG's info has no EXIF, Pillow would decode the whole file to look for it.
        if image.format != "PNG" or "exif" in image.info:
            with suppress(Exception):  # a broken EXIF counts as none
                turn = int(image.getexif().get(ORIENTATION, 1))
        return Header((image.height, image.width), turn if 1 <= turn <= 8 else 1)

    def colours(self) -> np.ndarray:
        """Return the pixels, H x W x 3 uint8, BGR, as stored.

        An EXIF orientation and a fourth band are ignored.
        """
        image = self._image
        if image.mode in ("RGB", "RGBA", "RGBX"):
            pixels = stored(image)
            code = cv2.COLOR_RGB2BGR if pixels.shape[2] == 3 else cv2.COLOR_RGBA2BGR
            return cv2.cvtColor(pixels, code)
        if image.mode in ("1", "L", "LA"):
            return cv2.cvtColor(self.grey(), cv2.COLOR_GRAY2BGR)
        return cv2.cvtColor(np.asarray(image.convert("RGB")), cv2.COLOR_RGB2BGR)

    def grey(self) -> np.ndarray:
        """Return the brightness, H x W uint8; read-only."""
        image = self._image
        if image.mode == "LA":
            return stored(image.getchannel(0))
        if image.mode == "L":
            return stored(image)
        colours = image.convert("RGB") if image.mode in ("P", "PA") else image
        return np.asarray(colours.convert("L"))

    def values(self) -> Values:
        """Return a mask's values."""
        image = self._image
        if image.mode in ("P", "PA"):
            pixels = stored(image if image.mode == "P" else image.getchannel(0))
            # A TIFF's palette has as many entries as its bits allow. A PNG's may have fewer, and
            # getpalette returns only these.
            palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
            return Values(pixels, palette)
        if image.mode in ("1", "L", "LA"):
            return Values(self.grey(), bits=self._bits)
        return Values(cv2.cvtColor(self.colours(), cv2.COLOR_BGR2RGB))

    def alpha(self) -> np.ndarray | None:
        """Return the alpha channel, H x W uint8; None for an image without alpha."""
        image = self._image
        if image.mode not in ("LA", "PA", "RGBA") and "transparency" not in image.info:
            return None
        return np.asarray(image.convert("RGBA").getchannel("A"))

    def prove(self) -> None:
        """Decode the file to its end in the fastest way."""
        image = self._image
        if image.format in ("JPEG", "MPO"):
            # At an eighth of its size a JPEG is still read to its end, in half the time.
            image.draft("L", (max(1, image.width // 8), max(1, image.height // 8)))
            image.load()
        else:
            self.colours()


def read_header(file: Path) -> Header:
    """Return the header of an image file. Its pixels are not read.

    Raises:
        BadImage: the file is not an image of formats.FORMATS with 8 bits a channel, or its header
            makes impossible claims.
    """
    with opened(file, whole=False) as image:
        return image.header()


def decode(file: Path) -> np.ndarray:
    """Return an image's pixels, as OpenImage.colours does.

    Raises:
        BadImage: `read_header` rejects the file, or it is damaged or truncated.
    """
    with opened(file) as image:
        return image.colours()


def decode_grey(file: Path) -> np.ndarray:
    """Return an image's brightness, H x W uint8; read-only. Raises BadImage as `decode` does."""
    with opened(file) as image:
        return image.grey()


def decode_values(file: Path) -> Values:
    """Return a mask's values. Raises BadImage as `decode` does."""
    with opened(file) as image:
        return image.values()


def prove(file: Path) -> Header:
    """Check that `decode` will succeed, and return the header. Raises BadImage as `decode` does."""
    with opened(file) as image:
        header = image.header()
        image.prove()
        return header


@contextmanager
def opened(file: Path, whole: bool = True) -> Iterator[OpenImage]:
    """Open a file whose header is sound.

    Any error of the block counts as a fault of the file, so the block must only decode.

    Args:
        whole: True if the pixels will be decoded; False to leave their bytes unread.

    Raises:
        BadImage: the file cannot be used, or the block raised an error.
    """
    _prepare()
    try:
        if not stat.S_ISREG(os.stat(file).st_mode):  # a pipe without a writer would block `open`
            raise BadImage("is no file, but a folder, a pipe or a device")
        with open(file, "rb") as data:
            kind = kind_of(data)
            data.seek(0)
            exif = b""
            if kind == "PNG":
                exif = check_chunks(data, whole)
            elif kind == "TIFF" and (fault := fault_of_tiff(data)):
                raise BadImage(fault)
            data.seek(0)
            with Image.open(data, formats=[kind]) as image:
                check_claims(image, kind, os.fstat(data.fileno()).st_size)
                if exif:
                    image.info["exif"] = exif
                yield OpenImage(image)
    except BadImage as error:
        raise BadImage(f"{file.name}: {error}") from None
    except MemoryError:
        raise BadImage(f"{file.name}: too large for this machine's memory") from None
    # Pillow's decoders raise many kinds: OSError, SyntaxError, ValueError, struct.error.
    except Exception as error:  # noqa: BLE001
        raise BadImage(f"{file.name}: {what_fails(error)}") from None


def what_fails(error: Exception) -> str:
    """Return a file's fault in a few words.

    Args:
        error: the error that was raised when the file was read.
    """
    if isinstance(error, OSError) and error.errno is not None:
        return error.strerror or "unreadable"
    if isinstance(error, UnidentifiedImageError):
        return "of a kind that is not read, or damaged; save it as PNG"
    return "truncated" if "truncated" in str(error).lower() else "damaged"


@cache
def _prepare() -> None:
    """Let Pillow open large images and reuse memory, and keep it and libtiff off stderr."""
    # Pillow takes a raster of more than 179 megapixels for an attack. formats.check_claims has
    # other limits.
    Image.MAX_IMAGE_PIXELS = None
    # Fresh memory costs a fifth of a JPEG's decoding. Let Pillow keep some, at most 16 MB a block.
    Image.core.set_blocks_max(4)  # type: ignore[attr-defined]
    warnings.filterwarnings("ignore", module=r"PIL\.")
    # libtiff itself writes errors to stderr, although Pillow raises them too.
    with suppress(OSError, AttributeError):  # only Linux has /proc; elsewhere the lines stay
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
            libraries = {
                f"/{line.partition('/')[2].rstrip()}"
                for line in maps
                if "libtiff" in line.rpartition("/")[2]
            }
        for library in libraries:
            for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
                getattr(ctypes.CDLL(library), name)(None)


def _grey_bits(image: ImageFile) -> int:
    """Return how many bits a grey value has in the file; 8 of an image that is not grey."""
    if image.mode == "1":
        return 1
    if image.mode not in ("L", "LA"):
        return 8
    return next((bits for bits in (2, 4) if f"L;{bits}" in str(image.tile)), 8)
