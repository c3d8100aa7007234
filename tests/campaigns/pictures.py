"""Images and masks in all formats that the libraries here write, undamaged and damaged.

Their names have the suffixes that dlinknet reads.
"""

from __future__ import annotations

import io
import struct
import warnings
from random import Random
from typing import Callable, NamedTuple

import numpy as np
from PIL import Image

from tests.campaigns import png, tiff
from tests.campaigns.damage import damaged

JPEG_SIZES = (b"\xff\xc0", b"\xff\xc1", b"\xff\xc2")
FOREIGN = (
    "WEBP",
    "BMP",
    "GIF",
    "ICO",
    "TGA",
    "PPM",
    "EPS",
    "QOI",
    "AVIF",
    "JPEG2000",
    "SGI",
    "PCX",
    "DDS",
    "IM",
    "MSP",
    "XBM",
    "PDF",
    "ICNS",
    "MPO",
    "SPIDER",
    "DIB",
    "BLP",
)
TIFF_CODECS = (
    "tiff_lzw",
    "tiff_adobe_deflate",
    "packbits",
    "jpeg",
    "lzma",
    "zstd",
    "webp",
    "group3",
    "group4",
    "tiff_ccitt",
    "tiff_thunderscan",
    "raw",
)
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F", "LAB", "HSV", "PA")


class Picture(NamedTuple):
    """A file: its bytes, its usual suffix, its description, and its H x W x 3 uint8 RGB.

    The RGB is None if it is not beyond doubt.
    """

    data: bytes
    suffix: str
    said: str
    colours: np.ndarray | None = None


def _noise(rng: Random, height: int, width: int, mode: str) -> Image.Image:
    """Return an image of random pixels, smooth enough for lossy formats such as JPEG."""
    numbers = np.random.default_rng(rng.getrandbits(64))
    if mode == "1":
        return Image.fromarray(numbers.integers(0, 256, (height, width), np.uint8)).convert("1")
    if mode == "I;16":
        return Image.fromarray(numbers.integers(0, 65536, (height, width)).astype(np.uint16))
    if mode in ("I", "F"):
        return Image.fromarray(
            numbers.integers(0, 65536, (height, width)).astype(
                np.int32 if mode == "I" else np.float32
            )
        )
    rgb = Image.fromarray(numbers.integers(0, 256, (height, width, 3), np.uint8))
    if mode == "PA":
        return rgb.convert("P").convert("PA")
    if mode == "LAB":
        return Image.frombytes("LAB", (width, height), rgb.tobytes())
    return rgb.convert(mode)


def _saved(rng: Random, height: int, width: int, form: str, **options: object) -> Picture:
    """Return a file that Pillow writes in a format, in a mode that the format supports."""
    for mode in rng.sample(MODES, len(MODES)):
        content, image = io.BytesIO(), _noise(rng, height, width, mode)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                image.save(content, form, **options)
        except (
            OSError,
            ValueError,
            KeyError,
            RuntimeError,
            TypeError,
            SystemError,
            AttributeError,
        ):
            continue
        said = ", ".join(
            [
                f"{form} of mode {mode}",
                *(f"{name} {value}" for name, value in options.items() if name != "exif"),
            ]
        )
        return Picture(
            content.getvalue(), "." + {"TIFF": "tif", "JPEG": "jpg"}.get(form, form.lower()), said
        )
    return Picture(b"", ".png", f"nothing: this Pillow writes no {form}")


def _png(rng: Random, height: int, width: int) -> Picture:
    data, said, colours = png.draw(rng, height, width)
    return Picture(data, ".png", said, colours)


def _tiff(rng: Random, height: int, width: int) -> Picture:
    data, said, colours = tiff.draw(rng, height, width)
    return Picture(data, ".tif", said, colours)


def _pillow_tiff(rng: Random, height: int, width: int) -> Picture:
    return _saved(rng, height, width, "TIFF", compression=rng.choice(TIFF_CODECS))


def _jpeg(rng: Random, height: int, width: int) -> Picture:
    options: dict[str, object] = {
        "quality": rng.choice((10, 75, 95)),
        "progressive": rng.random() < 0.4,
        "subsampling": rng.choice((0, 1, 2)),
        "optimize": rng.random() < 0.3,
    }
    if rng.random() < 0.2:
        exif = Image.Exif()
        exif[274] = rng.choice((1, 2, 3, 5, 6, 8, 9))
        options["exif"] = exif.tobytes()
    if rng.random() < 0.2:
        options["restart_marker_rows"] = 1
    return _saved(rng, height, width, "JPEG", **options)


def _foreign(rng: Random, height: int, width: int) -> Picture:
    return _saved(rng, height, width, rng.choice(FOREIGN))


def _frames(rng: Random, height: int, width: int) -> Picture:
    """Return several pictures in one file: an animation, pages, or bands as pages."""
    images, content = (
        [
            _noise(rng, height, width, rng.choice(("L", "RGB")))
            for _ in range(rng.choice((2, 3, 4)))
        ],
        io.BytesIO(),
    )
    form = rng.choice(("PNG", "TIFF", "TIFF", "GIF", "WEBP"))
    images[0].save(content, form, save_all=True, append_images=images[1:])
    return Picture(
        content.getvalue(), {"TIFF": ".tif"}.get(form, ".png"), f"{form} of {len(images)} frames"
    )


def _no_picture(rng: Random, height: int, width: int) -> Picture:
    data = rng.choice(
        (
            b"",
            b"\0",
            b"<html><body>404</body></html>",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
            rng.randbytes(300),
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n(/tmp) deletefile\n",
            b"\xff\xd8\xff",
            png.SIGNATURE,
            b"II*\0\x08\0\0\0",
            b"MM\0*\0\0\0\x08",
            b"P6 64 64 255\n",
            b"P6 99999 99999 255\n",
            b"P5 64 64 65535\n" + bytes(8192),
            b"BM" + bytes(52),
            b"GIF89a" + b"\xff" * 100,
        )
    )
    return Picture(data, rng.choice((".png", ".jpg", ".tif")), f"no picture: {data[:20]!r}")


def _operated_jpeg(rng: Random, data: bytes) -> tuple[bytes, str]:
    """Return (the JPEG with a marker's segment changed, the change in words)."""
    places, at = [], 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        places.append((at, at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")))
        at = places[-1][1]
    if not places:
        return data, "as it is"
    begin, end = rng.choice(places)
    how, name = rng.randrange(6), f"segment {data[begin + 1]:#x}"
    frame = next(((b, e) for b, e in places if data[b : b + 2] in JPEG_SIZES), None)
    if how in (0, 1) and frame:
        side = rng.choice((0, 1, 63, 65, 30000, 65535))
        at = frame[0] + (5, 7)[how]
        return data[:at] + side.to_bytes(2, "big") + data[
            at + 2 :
        ], f"{('height', 'width')[how]} {side}"
    if how == 2:
        return data[:begin] + data[end:], f"without {name}"
    if how == 3:
        return data[:end] + data[begin:end] + data[end:], f"{name} twice"
    if how == 4:
        place = rng.randrange(begin + 2, end)
        return data[:place] + rng.randbytes(1) + data[
            place + 1 :
        ], f"byte {place - begin} of {name}"
    turned = (
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01"
        + struct.pack(">HH", rng.choice((3, 6, 8, 99)), 0)
        + bytes(4)
    )
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(turned) + 2) + turned + data[
        2:
    ], "an EXIF turn"


def _operated(rng: Random, picture: Picture) -> tuple[bytes, str]:
    if picture.data[:8] == png.SIGNATURE:
        return png.operated(rng, picture.data)
    if picture.data[:2] in (b"II", b"MM"):
        return tiff.operated(rng, picture.data)
    if picture.data[:2] == b"\xff\xd8":
        return _operated_jpeg(rng, picture.data)
    return damaged(rng, picture.data)


SOURCES: tuple[Callable[[Random, int, int], Picture], ...] = (
    _png,
    _png,
    _png,
    _png,
    _tiff,
    _tiff,
    _tiff,
    _tiff,
    _pillow_tiff,
    _pillow_tiff,
    _jpeg,
    _jpeg,
    _foreign,
    _foreign,
    _frames,
    _no_picture,
)


def hurt(rng: Random, picture: Picture) -> Picture:
    """Return the picture undamaged, with damaged bytes, or with changed parts.

    One in five damaged pictures is damaged once more.
    """
    draw = rng.random()
    if draw < 0.25:
        return picture
    said = []
    for _ in range(1 if rng.random() < 0.8 else 2):
        data, how = _operated(rng, picture) if rng.random() < 0.6 else damaged(rng, picture.data)
        picture = picture._replace(data=data, colours=None)
        said.append(how)
    return picture._replace(said=f"{picture.said}; {'; '.join(said)}")


def drawn(rng: Random, height: int, width: int) -> Picture:
    """Return any picture of this size, damaged or not."""
    return hurt(rng, rng.choice(SOURCES)(rng, height, width))
