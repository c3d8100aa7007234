"""Bad images and masks: every format that a library here writes, under the names that dlinknet reads, whole and damaged."""
from __future__ import annotations

import functools
import io
import os
import struct
import warnings
from pathlib import Path
from random import Random
from typing import Callable, NamedTuple, Optional

import cv2
import numpy as np
from PIL import Image

from tests.campaigns import png, tiff
from tests.campaigns.damage import damaged
from tests.campaigns.forks import Case, Disagrees, Kind

JPEG_SIZES = (b"\xff\xc0", b"\xff\xc1", b"\xff\xc2")
FOREIGN = ("WEBP", "BMP", "GIF", "ICO", "TGA", "PPM", "EPS", "QOI", "AVIF", "JPEG2000", "SGI", "PCX", "DDS", "IM", "MSP", "XBM",
           "PDF", "ICNS", "MPO", "SPIDER", "DIB", "BLP")
TIFF_CODECS = ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "lzma", "zstd", "webp", "group3", "group4", "tiff_ccitt",
               "tiff_thunderscan", "raw")
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F", "LAB", "HSV", "PA")
SUFFIXES = (".png", ".jpg", ".tif", ".jpeg", ".tiff", ".PNG", ".JPG")
TABLE = """classes:
  - {name: sky, colour: [128, 128, 128], values: [0]}
  - {name: road, colour: [128, 64, 128], values: [1]}
  - {name: car, colour: [64, 0, 128], values: [2, 7]}
void: {name: void, colour: [0, 0, 0], values: [11]}
"""
COLOURS = np.array([[128, 128, 128], [128, 64, 128], [64, 0, 128], [0, 0, 0]], np.uint8)
VALUES = np.array([0, 1, 2, 11], np.uint8)


class Picture(NamedTuple):
    """A file's bytes, its usual suffix, what it is in words, and its H x W x 3 uint8 RGB where that is beyond doubt."""

    data: bytes
    suffix: str
    said: str
    colours: Optional[np.ndarray] = None


def _noise(rng: Random, height: int, width: int, mode: str) -> Image.Image:
    """Return an image of random pixels, smooth enough for JPEG's kin."""
    numbers = np.random.default_rng(rng.getrandbits(64))
    if mode == "1":
        return Image.fromarray(numbers.integers(0, 256, (height, width), np.uint8)).convert("1")
    if mode == "I;16":
        return Image.fromarray(numbers.integers(0, 65536, (height, width)).astype(np.uint16))
    if mode in ("I", "F"):
        return Image.fromarray(numbers.integers(0, 65536, (height, width)).astype(np.int32 if mode == "I" else np.float32))
    rgb = Image.fromarray(numbers.integers(0, 256, (height, width, 3), np.uint8))
    if mode == "PA":
        return rgb.convert("P").convert("PA")
    if mode == "LAB":
        return Image.frombytes("LAB", (width, height), rgb.tobytes())
    return rgb.convert(mode)


def _saved(rng: Random, height: int, width: int, form: str, **options: object) -> Picture:
    """Return what Pillow writes as a format, in a mode that the format can hold."""
    for mode in rng.sample(MODES, len(MODES)):
        content, image = io.BytesIO(), _noise(rng, height, width, mode)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                image.save(content, form, **options)
        except (OSError, ValueError, KeyError, RuntimeError, TypeError, SystemError, AttributeError):
            continue
        said = ", ".join([f"{form} of mode {mode}", *(f"{name} {value}" for name, value in options.items() if name != "exif")])
        return Picture(content.getvalue(), "." + {"TIFF": "tif", "JPEG": "jpg"}.get(form, form.lower()), said)
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
    options: dict[str, object] = {"quality": rng.choice((10, 75, 95)), "progressive": rng.random() < 0.4,
                                  "subsampling": rng.choice((0, 1, 2)), "optimize": rng.random() < 0.3}
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
    """Several pictures in one file: an animation, pages, bands as pages."""
    images, content = [_noise(rng, height, width, rng.choice(("L", "RGB"))) for _ in range(rng.choice((2, 3, 4)))], io.BytesIO()
    form = rng.choice(("PNG", "TIFF", "TIFF", "GIF", "WEBP"))
    images[0].save(content, form, save_all=True, append_images=images[1:])
    return Picture(content.getvalue(), {"TIFF": ".tif"}.get(form, ".png"), f"{form} of {len(images)} frames")


def _no_picture(rng: Random, height: int, width: int) -> Picture:
    data = rng.choice((b"", b"\0", b"<html><body>404</body></html>", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
                       rng.randbytes(300), b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n(/tmp) deletefile\n", b"\xff\xd8\xff",
                       png.SIGNATURE, b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"P6 64 64 255\n", b"P6 99999 99999 255\n",
                       b"P5 64 64 65535\n" + bytes(8192), b"BM" + bytes(52), b"GIF89a" + b"\xff" * 100))
    return Picture(data, rng.choice((".png", ".jpg", ".tif")), f"no picture: {data[:20]!r}")


def _operated_jpeg(rng: Random, data: bytes) -> tuple[bytes, str]:
    """Return (the JPEG with a marker's segment changed, how)."""
    places, at = [], 2
    while at + 4 <= len(data) and data[at] == 0xff and data[at + 1] != 0xda:
        places.append((at, at + 2 + int.from_bytes(data[at + 2:at + 4], "big")))
        at = places[-1][1]
    if not places:
        return data, "as it is"
    begin, end = rng.choice(places)
    how, name = rng.randrange(6), f"segment {data[begin + 1]:#x}"
    frame = next(((b, e) for b, e in places if data[b:b + 2] in JPEG_SIZES), None)
    if how in (0, 1) and frame:
        side = rng.choice((0, 1, 63, 65, 30000, 65535))
        at = frame[0] + (5, 7)[how]
        return data[:at] + side.to_bytes(2, "big") + data[at + 2:], f"{('height', 'width')[how]} {side}"
    if how == 2:
        return data[:begin] + data[end:], f"without {name}"
    if how == 3:
        return data[:end] + data[begin:end] + data[end:], f"{name} twice"
    if how == 4:
        place = rng.randrange(begin + 2, end)
        return data[:place] + rng.randbytes(1) + data[place + 1:], f"byte {place - begin} of {name}"
    turned = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01" + struct.pack(">HH", rng.choice((3, 6, 8, 99)), 0) + bytes(4)
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(turned) + 2) + turned + data[2:], "an EXIF turn"


def _operated(rng: Random, picture: Picture) -> tuple[bytes, str]:
    if picture.data[:8] == png.SIGNATURE:
        return png.operated(rng, picture.data)
    if picture.data[:2] in (b"II", b"MM"):
        return tiff.operated(rng, picture.data)
    if picture.data[:2] == b"\xff\xd8":
        return _operated_jpeg(rng, picture.data)
    return damaged(rng, picture.data)


SOURCES: tuple[Callable[[Random, int, int], Picture], ...] = (
    _png, _png, _png, _png, _tiff, _tiff, _tiff, _tiff, _pillow_tiff, _pillow_tiff, _jpeg, _jpeg, _foreign, _foreign, _frames, _no_picture)


def hurt(rng: Random, picture: Picture) -> Picture:
    """Return the picture whole, with damaged bytes, or with changed parts; every second time once more."""
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
    """Return any picture of this size, hurt or not."""
    return hurt(rng, rng.choice(SOURCES)(rng, height, width))


def _name(rng: Random, picture: Picture, ending: str, suffixes: tuple[str, ...]) -> str:
    own = picture.suffix if picture.suffix in suffixes and rng.random() < 0.85 else rng.choice(suffixes)
    return ending + own


def _size(rng: Random) -> tuple[int, int]:
    """Return (height, width), never a square: a turned picture shows."""
    height = rng.choice((1, 17, 32, 40, 64))
    return height, height + rng.choice((1, 15, 32))


def make_image(rng: Random) -> Case:
    """An image that is checked beside its mask, or found alone, and then read, as training and prediction do."""
    height, width = _size(rng)
    picture = drawn(rng, height, width)
    file = Path(_name(rng, picture, "r1_sat", SUFFIXES))
    file.write_bytes(picture.data)
    predicts = rng.random() < 0.3
    if not predicts:
        cv2.imwrite("r1_mask.png", np.full((height, width), 255, np.uint8))

    def run() -> str:
        from dlinknet.data.images import BadImage, find_images
        from dlinknet.data.pairs import read_pairs
        from dlinknet.data.preprocess import read_image
        if predicts:            # what find_images() lets pass may still be refused when it is read
            found, = find_images(".", "predict_path")
            if found.fault:
                raise BadImage(found.fault)
            size = found.size
            pixels = read_image(file)
        else:
            pair, = read_pairs(".", ".", "data_path", "data_path")
            size = pair.height, pair.width
            pixels = _read_after_check(read_image, file)
        _compare_sizes(file, size, pixels.shape[:2])
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise Disagrees(f"read_image gives {pixels.dtype} {pixels.shape}")
        if not np.array_equal(pixels, read_image(file)):
            raise Disagrees("read_image gives other pixels the second time")
        if picture.colours is not None and not np.array_equal(pixels[:, :, ::-1], picture.colours):
            raise Disagrees(f"silently wrong pixels of a whole {_sort(picture)}")
        return f"{size[1]}x{size[0]}"

    return Case(f"{file.name}: {picture.said}", run)


def _sort(picture: Picture) -> str:
    return picture.said.split(",")[0]


def _read_after_check(read: Callable[[Path], np.ndarray], file: Path) -> np.ndarray:
    from dlinknet.errors import UserError
    try:
        return read(file)
    except UserError as error:
        raise Disagrees(f"the check passes, the reader does not: {error}") from None


def _compare_sizes(file: Path, checked: tuple[int, ...], read: tuple[int, ...]) -> None:
    if tuple(checked) != tuple(read):
        raise Disagrees(f"checked as {checked[0]} x {checked[1]}, read as {read[0]} x {read[1]}")


def make_road_mask(rng: Random) -> Case:
    """A mask beside whole pairs, through read_pairs() and read_mask(), as a training on roads does."""
    height, width = _size(rng)
    _write_whole_pair("good", 32, 32)
    picture = drawn(rng, height, width)
    mask = Path(_name(rng, picture, "bad_mask", (".png", ".tif", ".tiff", ".PNG")))
    mask.write_bytes(picture.data)
    Path("bad_sat.png").write_bytes(png.draw(Random(1), height, width, np.zeros((height, width), np.uint8))[0])

    def run() -> str:
        from dlinknet.data.pairs import read_pairs
        from dlinknet.data.preprocess import read_mask
        pair = next(pair for pair in read_pairs(".", ".", "data_path", "data_path") if pair.id == "bad")
        labels = _read_after_check(read_mask, pair.mask)
        _compare_sizes(mask, (pair.height, pair.width), labels.shape)
        if not np.array_equal(labels, read_mask(pair.mask)):
            raise Disagrees("a mask's labels differ the second time")
        grey = picture.colours is not None and (picture.colours == picture.colours[:, :, :1]).all()
        if grey and not np.array_equal(labels > 0, picture.colours[:, :, 0] >= 128):
            raise Disagrees(f"silently wrong labels of a whole {_sort(picture)}")
        return f"{labels.mean():.2f} road"

    return Case(f"{mask.name}: {picture.said}", run)


def _write_whole_pair(id: str, height: int, width: int) -> None:
    mask = np.zeros((height, width), np.uint8)
    mask[:, 5:20] = 255
    cv2.imwrite(f"{id}_sat.jpg", np.full((height, width, 3), 90, np.uint8))
    cv2.imwrite(f"{id}_mask.png", mask)


@functools.lru_cache(maxsize=1)
def _table() -> object:
    """Return the Classes of TABLE."""
    import tempfile
    from dlinknet.data.classes import read_table
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "table.yaml"
        file.write_text(TABLE, encoding="utf-8")
        return read_table(file, "class_table", False)


def _class_picture(rng: Random, places: np.ndarray) -> tuple[Picture, bool]:
    """Return (a whole mask of these places in COLOURS and VALUES, whether its labels are beyond doubt)."""
    content, colours = io.BytesIO(), COLOURS[places]
    how = rng.randrange(6)
    if how == 0:
        Image.fromarray(VALUES[places]).save(content, "PNG")
        return Picture(content.getvalue(), ".png", "index mask"), True
    if how == 1:
        Image.fromarray(colours).save(content, "PNG")
        return Picture(content.getvalue(), ".png", "colour mask"), True
    if how == 2:        # an optimizer's palette: indices in an order of their own
        used = int(places.max()) + 1
        order = rng.sample(range(used), used)
        image = Image.fromarray(np.array(order, np.uint8)[places], "P")
        entries = np.zeros((used, 3), np.uint8)
        entries[order] = COLOURS[:used]
        image.putpalette(entries.tobytes())
        image.save(content, "PNG")
        return Picture(content.getvalue(), ".png", f"palette of the table's colours in the order {order}"), True
    if how == 3:
        form, options = rng.choice((("TIFF", {"compression": "tiff_lzw"}), ("TIFF", {"compression": "tiff_adobe_deflate"})))
        Image.fromarray(colours).save(content, form, **options)
        return Picture(content.getvalue(), ".tif", f"colour mask, TIFF {options['compression']}"), True
    if how == 4:
        alpha = np.dstack([colours, np.full(places.shape, rng.choice((0, 128, 255)), np.uint8)])
        Image.fromarray(alpha).save(content, "PNG")
        return Picture(content.getvalue(), ".png", "colour mask with alpha"), True
    Image.fromarray(colours).save(content, "JPEG", quality=95)
    return Picture(content.getvalue(), ".png", "colour mask, JPEG"), False


def make_class_mask(rng: Random) -> Case:
    """A mask of classes beside a whole pair, through matched() and Classes.read(), as a training on streets does."""
    height, width = _size(rng)
    used = rng.choice((3, 4))           # three of them: an optimizer's indices are all values of the table then
    places = np.random.default_rng(rng.getrandbits(64)).integers(0, used, (height, width))
    if rng.random() < 0.5:
        whole, certain = _class_picture(rng, places)
    else:
        whole, certain = rng.choice(SOURCES)(rng, height, width), False
    picture = hurt(rng, whole)
    mask, image = Path(_name(rng, picture, "bad", (".png", ".tif"))), Path("bad_sat.png")
    mask.write_bytes(picture.data)
    image.write_bytes(png.draw(Random(1), height, width, np.zeros((height, width), np.uint8))[0])
    good = np.tile(np.arange(4), (32, 8))
    Image.fromarray(VALUES[good]).save("good.png")
    cv2.imwrite("good_sat.jpg", np.full((32, 32, 3), 90, np.uint8))

    def run() -> str:
        from dlinknet.data.pairs import matched
        classes = _table()
        pairs = matched({"bad": image, "good": Path("good_sat.jpg")}, {"bad": mask, "good": Path("good.png")}, (".", "."),
                        ("data_path", "label_path"), classes)
        pair = next(pair for pair in pairs if pair.id == "bad")
        labels = _read_after_check(classes.read, pair.mask)
        _compare_sizes(mask, (pair.height, pair.width), labels.shape)
        if not np.array_equal(labels, classes.read(pair.mask)):
            raise Disagrees("a mask's labels differ the second time")
        if not np.isin(labels, (0, 1, 2, 255)).all():
            raise Disagrees(f"labels {np.unique(labels)[:9].tolist()} of three classes")
        if certain and picture.data == whole.data and not np.array_equal(labels, np.array([0, 1, 2, 255])[places]):
            raise Disagrees(f"silently wrong labels of a whole {whole.said.partition(' in the')[0]}")
        return f"{(labels == 255).mean():.2f} void"

    return Case(f"{mask.name}: {picture.said}", run)


def make_folder(rng: Random) -> Case:
    """A folder with things in it that are no images, or names that no table holds, through find_images() and read_pairs()."""
    _write_whole_pair("good", 32, 32)
    said = []
    for _ in range(rng.choice((1, 1, 2))):
        ending = rng.choice(("_sat.jpg", "_mask.png", "_sat.png", ".png", ".tif", ""))
        name = rng.choice(("x", "good", "é", "e\u0301", "a b", "a\nb", "\x1b[31m", "\udcff", "-", "x" * 240, "é" * 120, ".x", "x_sat_sat", "CON", "a;b", "$(x)"))
        path = Path(name + ending)
        how, make = rng.choice((
            ("a dangling link", lambda: path.symlink_to("nowhere")), ("a link to itself", lambda: path.symlink_to(path.name)),
            ("a link to a folder", lambda: path.symlink_to(".")), ("a FIFO", lambda: os.mkfifo(path)), ("a folder", path.mkdir),
            ("a link to /dev/zero", lambda: path.symlink_to("/dev/zero")), ("a link to /proc/self/mem", lambda: path.symlink_to("/proc/self/mem")),
            ("a copy", lambda: path.write_bytes(Path("good_sat.jpg").read_bytes())), ("an unreadable file", lambda: path.touch(0)),
            ("a socket", lambda: _bind(path)), ("an empty file", path.touch)))
        try:
            make()
            said.append(f"{path.name[:30]!a}: {how}")
        except OSError:         # it is there already
            continue
    place = rng.choice((".", ".", ".", ".", "/proc", "/proc/self", "/dev", "/", "/sys", "nowhere", "good_sat.jpg", "good_sat.jpg/x", "x" * 5000, "loop", "/proc/self/fd",
                        "/proc/self/environ", "/dev/stdin", "/dev/zero", "/dev/null", "\0", "./" * 2500))
    if place == "loop":
        Path("loop").symlink_to("loop")

    def run() -> str:
        from dlinknet.data.images import find_images
        from dlinknet.data.pairs import read_pairs
        if rng.random() < 0.5:
            return f"{len(find_images(place, 'predict_path'))} images"
        return f"{len(read_pairs(place, place, 'data_path', 'label_path'))} pairs"

    return Case(f"{place[:40]!a}; {'; '.join(said)}", run)


def _bind(path: Path) -> None:
    import socket
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def _warm() -> None:
    import dlinknet.data.layouts  # noqa: F401
    Image.init()
    _table()


KINDS = (Kind("image", 230, make_image, _warm), Kind("road mask", 180, make_road_mask, _warm),
         Kind("class mask", 100, make_class_mask, _warm), Kind("folder", 25, make_folder, _warm))
