"""An image file -> its pixels. The only place that decodes image files: what checks a file and what reads it later are the same.

Pillow decodes. Its decoders of other formats are never asked: one of them (EPS) runs another program.
"""

from __future__ import annotations

import ctypes
import os
import stat
import warnings
import zlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, Iterator, Optional

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from dlinknet.errors import OneLineError
from dlinknet.files.foreign import foreign
from dlinknet.images.tiff import fault_of_tiff

FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP")
# How files of these and of some other formats begin: (offset, bytes, name).
STARTS = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "TIFF"),
    (0, b"MM\0+", "TIFF"),
    (8, b"WEBP", "WEBP"),
    (0, b"BM", "BMP"),
    (0, b"GIF8", "GIF"),
    (4, b"jP  \r\n\x87\n", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftypavis", "AVIF"),
    (4, b"ftyphei", "HEIC"),
    (4, b"ftypmif1", "HEIF"),
    (0, b"%!PS", "EPS"),
    (0, b"\xc5\xd0\xd3\xc6", "EPS"),
    (0, b"%PDF", "PDF"),
    (0, b"\0\0\1\0", "ICO"),
    (0, b"qoif", "QOI"),
    (0, b"8BPS", "Photoshop"),
    (0, b"\x89HDF", "HDF5"),
    (0, b"CDF", "NetCDF"),
    (0, b"NITF", "NITF"),
    (0, b"EHFA_HEADER_TAG", "Erdas Imagine"),
    (0, b"v/1\1", "OpenEXR"),
    (0, b"<VRTDataset", "GDAL virtual raster"),
)
# Pillow's names for 8 bits and fewer a channel.
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
PIXELS = 2**30  # the most that OpenCV computes with
SIDE = 2**20
ORIENTATION = 274  # the EXIF tag
EXIF = 1 << 16  # bytes; a JPEG has no room for more
# The most that one byte of a file can stand for: deflate repeats up to 258 bytes in 2 bits, a progressive JPEG has a block of 64 pixels
# in a bit. A header that claims more than this lies.
DEFLATE, JPEG_PIXELS, ANY = 1032, 1024, 40_000


class BadImage(OneLineError):
    """A file that cannot be used. The text names it and says why: 'a_sat.jpg: truncated'."""


@dataclass(frozen=True)
class Header:
    """What an image file says before its pixels.

    kind: one of FORMATS. size: (height, width) in pixels, as stored. turn: the EXIF orientation, 1 (upright) to 8.
    """

    kind: str
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
    palette: Optional[np.ndarray] = None
    bits: int = 8


def read_header(file: Path) -> Header:
    """Return what an image file says of itself. Only its header is read.

    Raises:
        BadImage: the file is not an image of FORMATS with 8 bits a channel, or its header claims what cannot be.
    """
    with _opened(file, whole=False) as image:
        return _header(image)


def decode(file: Path) -> np.ndarray:
    """Return an image's pixels, H x W x 3 uint8, BGR, as stored: an EXIF orientation turns nothing, a fourth band changes nothing.

    Raises:
        BadImage: what `read_header` rejects, or the file is damaged or truncated.
    """
    with _opened(file) as image:
        return _colours(image)


def decode_grey(file: Path) -> np.ndarray:
    """Return an image's brightness, H x W uint8; read-only. Raises BadImage as `decode` does."""
    with _opened(file) as image:
        return _grey(image)


def decode_values(file: Path) -> Values:
    """Return a mask's values. Raises BadImage as `decode` does."""
    with _opened(file) as image:
        if image.mode in ("P", "PA"):
            pixels = np.asarray(image if image.mode == "P" else image.getchannel(0))
            # A TIFF's palette has as many entries as its bits allow; getpalette leaves out what PNG leaves out.
            palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
            return Values(pixels, palette)
        if image.mode in ("1", "L", "LA"):
            bits = _grey_bits(image)
            return Values(_grey(image), bits=bits)
        return Values(cv2.cvtColor(_colours(image), cv2.COLOR_BGR2RGB))


def decode_alpha(file: Path) -> Optional[np.ndarray]:
    """Return an image's alpha channel, H x W uint8; None if it has none. Raises BadImage as `decode` does."""
    with _opened(file) as image:
        if image.mode not in ("LA", "PA", "RGBA") and "transparency" not in image.info:
            return None
        return np.asarray(image.convert("RGBA").getchannel("A"))


def prove(file: Path) -> Header:
    """Decode an image for nothing but to see that `decode` will; return its header. Raises BadImage as `decode` does."""
    with _opened(file) as image:
        header = _header(image)
        if header.kind == "JPEG":
            # At an eighth of the size a JPEG is still read to its end, in half of the time.
            image.draft("L", (max(1, image.width // 8), max(1, image.height // 8)))
            np.asarray(image)
        else:
            _colours(image)
        return header


@contextmanager
def _opened(file: Path, whole: bool = True) -> Iterator[Image.Image]:
    """Open a file whose header is sound; what Pillow raises within the block is BadImage.

    Args:
        whole: the pixels will be decoded; otherwise their bytes are not read.
    """
    _prepare()
    try:
        if not stat.S_ISREG(os.stat(file).st_mode):  # a pipe that nobody writes to would never open
            raise BadImage("is no file, but a folder, a pipe or a device")
        with open(file, "rb") as data:
            kind = _kind(data)
            data.seek(0)
            exif = b""
            if kind == "PNG":
                exif = _check_chunks(data, whole)
            elif kind == "TIFF" and (fault := fault_of_tiff(data)):
                raise BadImage(fault)
            data.seek(0)
            with Image.open(data, formats=[kind]) as image:
                _check_claims(image, kind, os.fstat(data.fileno()).st_size)
                if exif:
                    image.info["exif"] = exif
                yield image
    except BadImage as error:
        raise BadImage(f"{file.name}: {error}") from None
    except MemoryError:
        raise BadImage(f"{file.name}: too large for this machine's memory") from None
    except Exception as error:  # noqa: BLE001  (Pillow's decoders raise many kinds: OSError, SyntaxError, ValueError, struct.error)
        raise BadImage(f"{file.name}: {what_fails(error)}") from None


def what_fails(error: Exception) -> str:
    """Return what is wrong with a file, in a word or two, from what was raised on reading it."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.strerror or "unreadable"
    if isinstance(error, UnidentifiedImageError):
        return "of a kind that is not read, or damaged; save it as PNG"
    return "truncated" if "truncated" in str(error).lower() else "damaged"


@lru_cache(maxsize=None)
def _prepare() -> None:
    """Let Pillow open what users have, without lines of its own."""
    # Pillow warns of a raster of more than 179 megapixels as of an attack. `_check_claims` has limits of its own.
    Image.MAX_IMAGE_PIXELS = None
    warnings.filterwarnings("ignore", module=r"PIL\.")
    # libtiff writes its errors to stderr, past Pillow, which raises them as well.
    with suppress(OSError, AttributeError):  # another system than Linux: the lines stay
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
            libraries = {
                f"/{line.partition('/')[2].rstrip()}"
                for line in maps
                if "libtiff" in line.rpartition("/")[2]
            }
        for library in libraries:
            for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
                getattr(ctypes.CDLL(library), name)(None)


def _kind(data: BinaryIO) -> str:
    """Return the format, one of FORMATS, of what begins here."""
    start = data.read(256)
    kind = next((name for offset, word, name in STARTS if start.startswith(word, offset)), "")
    if kind not in FORMATS:
        fault = (
            f"is {kind}, which is not read; save it as PNG or TIFF"
            if kind
            else foreign(start) or "is no image"
        )
        raise BadImage(fault)
    return kind


def _header(image: Image.Image) -> Header:
    turn = 1
    # Without an EXIF in its info, Pillow would decode a whole PNG to look for one.
    if image.format != "PNG" or "exif" in image.info:
        with suppress(Exception):  # a broken EXIF says nothing
            turn = int(image.getexif().get(ORIENTATION, 1))
    return Header(
        "JPEG" if image.format == "MPO" else image.format,
        (image.height, image.width),
        turn if 1 <= turn <= 8 else 1,
    )


def _check_claims(image: Image.Image, kind: str, size: int) -> None:
    """Raise BadImage if the header claims what cannot be decoded, before memory is given to it."""
    if image.mode not in MODES or ";16" in str(
        image.tile
    ):  # Pillow calls 16-bit colours RGB as well
        raise BadImage(f"not 8 bits a channel ({image.mode}); save it with 8")
    pixels = image.height * image.width
    if pixels > PIXELS or max(image.size) > SIDE:
        raise BadImage(
            f"{image.width}x{image.height} pixels are too many (at most {PIXELS} and {SIDE} a side); cut it into parts"
        )
    bits = 1 if image.mode == "1" else 2
    most = {"JPEG": JPEG_PIXELS * size, "PNG": DEFLATE * size * 8 // bits}.get(kind, ANY * size)
    if pixels > most:
        raise BadImage(f"truncated: {size} bytes cannot hold {image.width}x{image.height} pixels")


def _check_chunks(data: BinaryIO, whole: bool) -> bytes:
    """Return a PNG's EXIF, or nothing.

    Args:
        whole: check the pixels' chunks too, whose bytes are the most of the file.

    Raises:
        BadImage: its critical chunks are damaged or end early. Pillow does not look at their checksums.
    """
    data.seek(8)
    pixels, exif = False, b""
    while True:
        head = data.read(8)
        length, name = int.from_bytes(head[:4], "big"), head[4:]
        critical = (not name[:1].islower() or name == b"tRNS") and (whole or name != b"IDAT")
        body = data.read(length + 4) if critical else b""
        if len(head) < 8 or (critical and len(body) < length + 4):
            raise BadImage("truncated")
        if critical and zlib.crc32(body[:-4], zlib.crc32(name)) != int.from_bytes(body[-4:], "big"):
            raise BadImage("damaged: a checksum is wrong; copy or download it again")
        pixels = pixels or name == b"IDAT"
        if name == b"IEND":
            if not pixels:
                raise BadImage("damaged: it has no pixels")
            return exif
        if name == b"eXIf" and length < EXIF:
            exif = data.read(length)
            data.seek(4, os.SEEK_CUR)
        elif not critical:
            data.seek(length + 4, os.SEEK_CUR)


def _colours(image: Image.Image) -> np.ndarray:
    """H x W x 3 uint8, BGR."""
    if image.mode in ("RGB", "RGBA", "RGBX"):
        code = cv2.COLOR_RGB2BGR if image.mode == "RGB" else cv2.COLOR_RGBA2BGR
        return cv2.cvtColor(np.asarray(image), code)
    if image.mode in ("1", "L", "LA"):
        return cv2.cvtColor(_grey(image), cv2.COLOR_GRAY2BGR)
    return cv2.cvtColor(np.asarray(image.convert("RGB")), cv2.COLOR_RGB2BGR)


def _grey(image: Image.Image) -> np.ndarray:
    """H x W uint8."""
    if image.mode == "LA":
        return np.asarray(image.getchannel(0))
    if image.mode in ("P", "PA"):
        image = image.convert("RGB")
    return np.asarray(image if image.mode == "L" else image.convert("L"))


def _grey_bits(image: Image.Image) -> int:
    """How many bits a grey value has in the file."""
    if image.mode == "1":
        return 1
    return next((bits for bits in (2, 4) if f"L;{bits}" in str(image.tile)), 8)
