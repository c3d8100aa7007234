"""Kinds of bad input: images, masks of roads and of classes, folders of odd things."""

from __future__ import annotations

import io
import os
import socket
from pathlib import Path
from random import Random
from typing import Callable

import cv2
import numpy as np
from PIL import Image

from tests.campaigns import pictures, png
from tests.campaigns.forks import Case, Disagrees, Kind
from tests.campaigns.labels import COLOURS, VALUES, class_table
from tests.campaigns.pictures import Picture

SUFFIXES = (".png", ".jpg", ".tif", ".jpeg", ".tiff", ".PNG", ".JPG")


def _name(rng: Random, picture: Picture, ending: str, suffixes: tuple[str, ...]) -> str:
    own = (
        picture.suffix
        if picture.suffix in suffixes and rng.random() < 0.85
        else rng.choice(suffixes)
    )
    return ending + own


def _size(rng: Random) -> tuple[int, int]:
    """Return (height, width) that differ, so that a turned picture is noticed."""
    height = rng.choice((1, 17, 32, 40, 64))
    return height, height + rng.choice((1, 15, 32))


def make_image(rng: Random) -> Case:
    """Make an image, alone or beside its mask, for the checks of prediction or training."""
    height, width = _size(rng)
    picture = pictures.drawn(rng, height, width)
    file = Path(_name(rng, picture, "r1_sat", SUFFIXES))
    file.write_bytes(picture.data)
    predicts = rng.random() < 0.3
    if not predicts:
        cv2.imwrite("r1_mask.png", np.full((height, width), 255, np.uint8))

    def run() -> str:
        from dlinknet.data.pairs import read_pairs
        from dlinknet.images.files import BadImage, find_images
        from dlinknet.images.read import read_image

        if predicts:  # find_images() accepts some files that are rejected when they are read
            (found,) = find_images(".")
            if found.fault:
                raise BadImage(found.fault)
            size = found.size
            pixels = read_image(file)
        else:
            (pair,) = read_pairs(".", ".")
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
    """Make a mask beside undamaged pairs, for read_pairs() and ROADS.read(), as in a training."""
    height, width = _size(rng)
    _write_whole_pair("good", 32, 32)
    picture = pictures.drawn(rng, height, width)
    mask = Path(_name(rng, picture, "bad_mask", (".png", ".tif", ".tiff", ".PNG")))
    mask.write_bytes(picture.data)
    Path("bad_sat.png").write_bytes(
        png.draw(Random(1), height, width, np.zeros((height, width), np.uint8))[0]
    )

    def run() -> str:
        from dlinknet.data.pairs import read_pairs
        from dlinknet.data.roads import ROADS

        pair = next(pair for pair in read_pairs(".", ".") if pair.id == "bad")
        labels = _read_after_check(ROADS.read, pair.mask)
        _compare_sizes(mask, (pair.height, pair.width), labels.shape)
        if not np.array_equal(labels, ROADS.read(pair.mask)):
            raise Disagrees("a mask's labels differ the second time")
        colours = picture.colours
        grey = colours is not None and bool((colours == colours[:, :, :1]).all())
        if colours is not None and grey and not np.array_equal(labels > 0, colours[:, :, 0] >= 128):
            raise Disagrees(f"silently wrong labels of a whole {_sort(picture)}")
        return f"{labels.mean():.2f} road"

    return Case(f"{mask.name}: {picture.said}", run)


def _write_whole_pair(id: str, height: int, width: int) -> None:
    mask = np.zeros((height, width), np.uint8)
    mask[:, 5:20] = 255
    cv2.imwrite(f"{id}_sat.jpg", np.full((height, width, 3), 90, np.uint8))
    cv2.imwrite(f"{id}_mask.png", mask)


def _class_picture(rng: Random, places: np.ndarray) -> tuple[Picture, bool]:
    """Return (an undamaged mask, whether its labels are beyond doubt).

    The labels are places in COLOURS and VALUES.
    """
    content, colours = io.BytesIO(), COLOURS[places]
    how = rng.randrange(6)
    if how == 0:
        Image.fromarray(VALUES[places]).save(content, "PNG")
        return Picture(content.getvalue(), ".png", "index mask"), True
    if how == 1:
        Image.fromarray(colours).save(content, "PNG")
        return Picture(content.getvalue(), ".png", "colour mask"), True
    if how == 2:  # a palette as PNG optimizers write it: the indices have another order
        used = int(places.max()) + 1
        order = rng.sample(range(used), used)
        image = Image.fromarray(np.array(order, np.uint8)[places], "P")
        entries = np.zeros((used, 3), np.uint8)
        entries[order] = COLOURS[:used]
        image.putpalette(entries.tobytes())
        image.save(content, "PNG")
        return Picture(
            content.getvalue(), ".png", f"palette of the table's colours in the order {order}"
        ), True
    if how == 3:
        form, options = rng.choice(
            (("TIFF", {"compression": "tiff_lzw"}), ("TIFF", {"compression": "tiff_adobe_deflate"}))
        )
        Image.fromarray(colours).save(content, form, **options)
        return Picture(
            content.getvalue(), ".tif", f"colour mask, TIFF {options['compression']}"
        ), True
    if how == 4:
        alpha = np.dstack([colours, np.full(places.shape, rng.choice((0, 128, 255)), np.uint8)])
        Image.fromarray(alpha).save(content, "PNG")
        return Picture(content.getvalue(), ".png", "colour mask with alpha"), True
    Image.fromarray(colours).save(content, "JPEG", quality=95)
    return Picture(content.getvalue(), ".png", "colour mask, JPEG"), False


def make_class_mask(rng: Random) -> Case:
    """Make a mask of classes beside an undamaged pair, for match() and Classes.read()."""
    height, width = _size(rng)
    used = rng.choice(
        (3, 4)
    )  # with three labels, the indices of a PNG optimizer are all values of the table
    places = np.random.default_rng(rng.getrandbits(64)).integers(0, used, (height, width))
    if rng.random() < 0.5:
        whole, certain = _class_picture(rng, places)
    else:
        whole, certain = rng.choice(pictures.SOURCES)(rng, height, width), False
    picture = pictures.hurt(rng, whole)
    mask, image = Path(_name(rng, picture, "bad", (".png", ".tif"))), Path("bad_sat.png")
    mask.write_bytes(picture.data)
    image.write_bytes(png.draw(Random(1), height, width, np.zeros((height, width), np.uint8))[0])
    good = np.tile(np.arange(4), (32, 8))
    Image.fromarray(VALUES[good]).save("good.png")
    cv2.imwrite("good_sat.jpg", np.full((32, 32, 3), 90, np.uint8))

    def run() -> str:
        from dlinknet.data.pairs import match

        classes = class_table()
        pairs = match(
            {"bad": image, "good": Path("good_sat.jpg")},
            {"bad": mask, "good": Path("good.png")},
            (".", "."),
            classes,
        )
        pair = next(pair for pair in pairs if pair.id == "bad")
        labels = _read_after_check(classes.read, pair.mask)
        _compare_sizes(mask, (pair.height, pair.width), labels.shape)
        if not np.array_equal(labels, classes.read(pair.mask)):
            raise Disagrees("a mask's labels differ the second time")
        if not np.isin(labels, (0, 1, 2, 255)).all():
            raise Disagrees(f"labels {np.unique(labels)[:9].tolist()} of three classes")
        if (
            certain
            and picture.data == whole.data
            and not np.array_equal(labels, np.array([0, 1, 2, 255])[places])
        ):
            raise Disagrees(
                f"silently wrong labels of a whole {whole.said.partition(' in the')[0]}"
            )
        return f"{(labels == 255).mean():.2f} void"

    return Case(f"{mask.name}: {picture.said}", run)


def make_folder(rng: Random) -> Case:
    """Make a folder with odd names or with things that are no images.

    It is for find_images() and read_pairs().
    """
    _write_whole_pair("good", 32, 32)
    said = []
    for _ in range(rng.choice((1, 1, 2))):
        ending = rng.choice(("_sat.jpg", "_mask.png", "_sat.png", ".png", ".tif", ""))
        name = rng.choice(
            (
                "x",
                "good",
                "é",
                "e\u0301",
                "a b",
                "a\nb",
                "\x1b[31m",
                "\udcff",
                "-",
                "x" * 240,
                "é" * 120,
                ".x",
                "x_sat_sat",
                "CON",
                "a;b",
                "$(x)",
            )
        )
        path = Path(name + ending)
        how, make = rng.choice(_odd_entries(path))
        try:
            make()
            said.append(f"{path.name[:30]!a}: {how}")
        except OSError:  # it is there already
            continue
    place = rng.choice(
        (
            ".",
            ".",
            ".",
            ".",
            "/proc",
            "/proc/self",
            "/dev",
            "/",
            "/sys",
            "nowhere",
            "good_sat.jpg",
            "good_sat.jpg/x",
            "x" * 5000,
            "loop",
            "/proc/self/fd",
            "/proc/self/environ",
            "/dev/stdin",
            "/dev/zero",
            "/dev/null",
            "\0",
            "./" * 2500,
        )
    )
    if place == "loop":
        Path("loop").symlink_to("loop")

    def run() -> str:
        from dlinknet.data.pairs import read_pairs
        from dlinknet.images.files import find_images

        if rng.random() < 0.5:
            return f"{len(find_images(place))} images"
        return f"{len(read_pairs(place, place))} pairs"

    return Case(f"{place[:40]!a}; {'; '.join(said)}", run)


def _odd_entries(path: Path) -> tuple[tuple[str, Callable[[], object]], ...]:
    """Return (words, a function that makes it at `path`) for each odd thing in a folder."""
    return (
        ("a dangling link", lambda: path.symlink_to("nowhere")),
        ("a link to itself", lambda: path.symlink_to(path.name)),
        ("a link to a folder", lambda: path.symlink_to(".")),
        ("a FIFO", lambda: os.mkfifo(path)),
        ("a folder", path.mkdir),
        ("a link to /dev/zero", lambda: path.symlink_to("/dev/zero")),
        ("a link to /proc/self/mem", lambda: path.symlink_to("/proc/self/mem")),
        ("a copy", lambda: path.write_bytes(Path("good_sat.jpg").read_bytes())),
        ("an unreadable file", lambda: path.touch(0)),
        ("a socket", lambda: _bind(path)),
        ("an empty file", path.touch),
    )


def _bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def _warm() -> None:
    import dlinknet.data.layouts  # noqa: F401

    Image.init()
    class_table()


KINDS = (
    Kind("image", 230, make_image, _warm),
    Kind("road mask", 180, make_road_mask, _warm),
    Kind("class mask", 100, make_class_mask, _warm),
    Kind("folder", 25, make_folder, _warm),
)
