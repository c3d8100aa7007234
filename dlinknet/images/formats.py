"""The formats of image files that are read, and the checks before Pillow decodes a file."""

from __future__ import annotations

import os
import zlib
from typing import BinaryIO

from PIL.ImageFile import ImageFile

from dlinknet.errors import OneLineError
from dlinknet.files.foreign import foreign

FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP")
# The first bytes of files of these and of some other formats: (offset, bytes, name).
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
PIXELS = 2**30  # most pixels of an image in OpenCV
SIDE = 2**20  # most pixels of a side
EXIF = 1 << 16  # bytes; a JPEG has no room for more
# The most pixels that one byte of a file can stand for: deflate repeats up to 258 bytes in 2 bits,
# a progressive JPEG has a block of 64 pixels in a bit. A header that claims more than this lies.
DEFLATE, JPEG_PIXELS, ANY = 1032, 1024, 40_000


class BadImage(OneLineError):
    """A file that cannot be used. The text is its name and the reason: 'a_sat.jpg: truncated'."""


def kind_of(data: BinaryIO) -> str:
    """Return the format, one of FORMATS, of a file that is open at its start.

    Raises:
        BadImage: the file has another format, or is no image.
    """
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


def check_claims(image: ImageFile, kind: str, size: int) -> None:
    """Raise BadImage if the pixels that the header claims cannot be decoded. Nothing is allocated.

    Args:
        kind: the format, one of FORMATS.
        size: of the file, in bytes.
    """
    # Pillow calls 16-bit colours RGB as well.
    if image.mode not in MODES or ";16" in str(image.tile):
        raise BadImage(f"not 8 bits a channel ({image.mode}); save it with 8")
    pixels = image.height * image.width
    if pixels > PIXELS or max(image.size) > SIDE:
        raise BadImage(
            f"{image.width}x{image.height} pixels are too many (at most {PIXELS} and {SIDE} a "
            "side); cut it into parts"
        )
    bits = 1 if image.mode == "1" else 2
    most = {"JPEG": JPEG_PIXELS * size, "PNG": DEFLATE * size * 8 // bits}.get(kind, ANY * size)
    if pixels > most:
        raise BadImage(f"truncated: {size} bytes cannot hold {image.width}x{image.height} pixels")


def check_chunks(data: BinaryIO, whole: bool) -> bytes:
    """Check the chunks of a PNG, whose checksums Pillow does not check. Return its EXIF, or b"".

    Args:
        whole: also check the pixels' chunks, which are most of the file.

    Raises:
        BadImage: a critical chunk is damaged, or the file ends early.
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
