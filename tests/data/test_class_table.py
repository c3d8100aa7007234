"""Class tables: masks -> labels and back, and which sets of masks are refused."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from dlinknet.data.classes import IGNORED
from dlinknet.data.layouts import TABLES
from dlinknet.data.masks import Marks
from dlinknet.data.read_table import parse_classes, read_table
from dlinknet.errors import UserError
from tests.data.tables import COLOURS, table
from tests.images.chunks import joined


def write(file, pixels):
    """Write grey or RGB pixels as PNG."""
    cv2.imwrite(str(file), pixels if pixels.ndim == 2 else pixels[..., ::-1])
    return file


def test_index_and_colour_masks_become_labels(tmp_path):
    index = write(tmp_path / "i.png", np.array([[4, 7, 9, 255]], np.uint8))
    colour = write(
        tmp_path / "c.png",
        np.array([[[10, 20, 30], [1, 2, 3], [200, 0, 0], [0, 0, 0], [9, 9, 9]]], np.uint8),
    )
    ignoring, counting = table(tmp_path), table(tmp_path, count_void=True)
    assert ignoring.names == ("sky", "land") and counting.names == ("sky", "land", "void")
    assert (ignoring.outputs, counting.outputs) == (2, 3)
    assert ignoring.read(index).tolist() == [[0, 1, 1, IGNORED]] and counting.read(
        index
    ).tolist() == [[0, 1, 1, 2]]
    # A colour of no class is void, as the blog has it.
    assert ignoring.read(colour).tolist() == [[0, 1, 1, IGNORED, IGNORED]] and counting.read(
        colour
    ).tolist() == [[0, 1, 1, 2, 2]]


def test_a_palette_image_is_read_by_its_indices(tmp_path):
    image = Image.fromarray(np.array([[7, 4]], np.uint8), "P")
    image.putpalette([0, 0, 0] * 4 + [99, 99, 99] * 252)
    image.save(tmp_path / "p.png")
    assert table(tmp_path).read(tmp_path / "p.png").tolist() == [[1, 0]]


def test_what_is_of_no_class_is_named(tmp_path):
    grey = write(tmp_path / "g.png", np.array([[4, 5]], np.uint8))
    with pytest.raises(UserError, match="g.png: the value 5 is of no class"):
        table(tmp_path).read(grey)
    colour = write(tmp_path / "c.png", np.array([[[10, 20, 30], [9, 8, 7]]], np.uint8))
    with pytest.raises(UserError, match=r"c.png: the colour \(9, 8, 7\) is of no class"):
        table(tmp_path, void=None).read(colour)
    (tmp_path / "t.png").write_text("no image")
    with pytest.raises(UserError, match="t.png: is no image"):
        table(tmp_path).read(tmp_path / "t.png")


def test_a_grey_image_with_transparency_is_an_index_mask(tmp_path):
    Image.fromarray(np.array([[[7, 255], [4, 255]]], np.uint8), "LA").save(tmp_path / "la.png")
    assert table(tmp_path).read(tmp_path / "la.png").tolist() == [[1, 0]]


def test_an_index_mask_has_a_value_for_each_class(tmp_path):
    labels = np.array([[0, 1, 2]], np.uint8)
    assert table(tmp_path, count_void=True).written_mask(labels).tolist() == [[4, 7, 255]]
    # The index of a class without a value may be another class's value.
    # So all classes are written as indices.
    assert table(
        tmp_path, count_void=True, void={"name": "void", "colour": [0, 0, 0]}
    ).written_mask(labels).tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("file", sorted(TABLES.glob("*.yaml")), ids=lambda file: file.stem)
@pytest.mark.parametrize("count_void", [False, True])
def test_palettes_of_all_tables_round_trip(tmp_path, file, count_void):
    """labels -> picture in the classes' colours, or index mask -> labels."""
    classes = read_table(file, count_void)
    labels = np.arange(len(classes.known), dtype=np.uint8)[None].repeat(2, 0)
    if classes.void:
        labels = np.hstack(
            [labels, np.full((2, 1), len(classes.listed) if count_void else IGNORED, np.uint8)]
        )
    assert np.array_equal(
        classes.read(write(tmp_path / "i.png", classes.written_mask(labels))), labels
    )
    colours = write(tmp_path / "c.png", classes.palette()[labels][..., ::-1])
    if file.stem == "cityscapes34":  # five of its classes are black
        with pytest.raises(UserError, match="is of two classes"):
            classes.read(colours)
    else:
        assert np.array_equal(classes.read(colours), labels)
    assert parse_classes(classes.to_dict()) == classes


def test_camvids_32_colours_are_fused_into_the_papers_classes(tmp_path):
    """Each colour of CamVid's list, by name, goes into the class that SegNet and LinkNet use."""
    fused = {
        "sky": ["128 128 128"],
        "building": ["192 0 128", "0 128 64", "128 0 0", "64 0 64", "64 192 0"],
        "pole": ["192 192 128", "0 0 64"],
        "road": ["128 0 192", "192 0 64", "128 64 128"],
        "pavement": ["64 192 128", "128 128 192", "0 0 192"],
        "tree": ["128 128 0", "192 192 0"],
        "sign": ["128 128 64", "192 128 128", "0 64 64"],
        "fence": ["64 64 128"],
        "car": ["64 0 128", "128 64 64", "64 128 192", "192 64 128", "192 128 192"],
        "pedestrian": ["64 128 64", "64 0 192", "192 128 64", "64 64 0"],
        "bicyclist": ["0 128 192", "192 0 192"],
    }
    assert sum(map(len, fused.values())) == 31
    classes = read_table(TABLES / "camvid32.yaml", False)
    assert classes.names == tuple(fused) == read_table(TABLES / "camvid.yaml", False).names
    for label, colours in enumerate(fused.values()):
        pixels = np.array([[list(map(int, colour.split())) for colour in colours]], np.uint8)
        assert classes.read(write(tmp_path / "c.png", pixels)).tolist() == [[label] * len(colours)]
    assert classes.read(write(tmp_path / "c.png", np.zeros((1, 1, 3), np.uint8))).tolist() == [
        [IGNORED]
    ]


def marks_of(unknown=0, **pixels):
    """Return the marks of a mask with so many pixels of each class of COLOURS."""
    labels = np.zeros(256, np.int64)
    for name, count in pixels.items():
        labels[255 if name == "void" else COLOURS.names.index(name)] = count
    return Marks(labels, unknown)


def test_unknown_colours_are_counted(tmp_path):
    colours = [[[0, 0, 0], [128, 64, 128], [127, 64, 128], [255, 255, 255]]]
    found = COLOURS.survey(write(tmp_path / "a.png", np.array(colours, np.uint8)))
    assert found.unknown == 1 and found.labels[[0, 1, 2, 255]].tolist() == [1, 1, 0, 2]


def test_a_mask_is_surveyed_as_it_is_read(tmp_path):
    """Pillow forgets how many bits a grey value had once it has decoded the alpha channel."""
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", 4, 1, 2, 0, 0, 0, 0)),  # 2 bits, grey
        (b"tRNS", struct.pack(">H", 170)),
        (b"IDAT", zlib.compress(bytes([0, 0b00011001]))),
        (b"IEND", b""),
    )
    (tmp_path / "a.png").write_bytes(joined(parts))
    labels = COLOURS.read(tmp_path / "a.png")
    found = COLOURS.survey(tmp_path / "a.png")
    assert labels.tolist() == [[0, 1, 2, 1]] and found.alpha
    assert np.array_equal(found.labels, np.bincount(labels.ravel(), minlength=256))


@pytest.mark.parametrize(
    "marks, words",
    [
        (
            [marks_of(unknown=51, ground=49, void=51)],
            "51.0 % of the masks' pixels have a colour that is of no class",
        ),
        ([marks_of(void=10)], "every pixel of every mask is void"),
    ],
)
def test_class_masks_that_mean_nothing_are_refused(marks, words):
    with pytest.raises(UserError, match=words):
        COLOURS.refuse_meaningless({f"m{n}": each for n, each in enumerate(marks)}, "masks")


def test_masks_that_mean_something_pass():
    COLOURS.refuse_meaningless({"a": marks_of(unknown=50, ground=50, void=50)}, "f")
    COLOURS.refuse_untrainable([marks_of(void=4)], "masks")


def test_what_a_person_should_know_is_said():
    assert COLOURS.findings(
        [marks_of(unknown=20, ground=60, void=40), marks_of(tree=100)], "masks"
    ) == [
        "masks: 20.0 % of the pixels are void, 10.0 % because their colour is of no class",
        "masks: no pixel is road",
    ]
    assert COLOURS.findings([marks_of(ground=1, road=1, tree=1)], "masks") == []
