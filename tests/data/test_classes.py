"""Class tables: masks -> labels and back, and what is refused."""

import cv2
import numpy as np
import pytest
import yaml

from dlinknet.data.classes import (
    IGNORED,
    ROADS,
    names_unlike,
    parse_classes,
    read_table,
)
from dlinknet.data.layouts import TABLES
from dlinknet.errors import UserError

TABLE = {
    "classes": [
        {"name": "sky", "colour": [10, 20, 30], "values": [4]},
        {
            "name": "land",
            "colour": [1, 2, 3],
            "values": [7, 9],
            "colours": [[1, 2, 3], [200, 0, 0]],
        },
    ],
    "void": {"name": "void", "colour": [0, 0, 0], "values": [255]},
}


def write(file, pixels):
    """Grey or RGB pixels as PNG."""
    cv2.imwrite(str(file), pixels if pixels.ndim == 2 else pixels[..., ::-1])
    return file


def table(tmp_path, count_void=False, **changes):
    file = tmp_path / "table.yaml"
    file.write_text(yaml.safe_dump({**TABLE, **changes}))
    return read_table(file, count_void)


def test_index_and_colour_masks_become_labels(tmp_path):
    index = write(tmp_path / "i.png", np.array([[4, 7, 9, 255]], np.uint8))
    colour = write(
        tmp_path / "c.png",
        np.array([[[10, 20, 30], [1, 2, 3], [200, 0, 0], [0, 0, 0], [9, 9, 9]]], np.uint8),
    )
    ignoring, counting = table(tmp_path), table(tmp_path, count_void=True)
    assert ignoring.names == ("sky", "land") and counting.names == ("sky", "land", "void")
    assert (ignoring.outputs, counting.outputs, ignoring.shown[0]) == (2, 3, "mean_iou")
    assert ignoring.read(index).tolist() == [[0, 1, 1, IGNORED]] and counting.read(
        index
    ).tolist() == [[0, 1, 1, 2]]
    # A colour of no class is void, as the blog has it.
    assert ignoring.read(colour).tolist() == [[0, 1, 1, IGNORED, IGNORED]] and counting.read(
        colour
    ).tolist() == [[0, 1, 1, 2, 2]]


def test_a_palette_image_is_read_by_its_indices(tmp_path):
    from PIL import Image

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
    from PIL import Image

    Image.fromarray(np.array([[[7, 255], [4, 255]]], np.uint8), "LA").save(tmp_path / "la.png")
    assert table(tmp_path).read(tmp_path / "la.png").tolist() == [[1, 0]]


def test_an_index_mask_has_a_value_for_each_class(tmp_path):
    labels = np.array([[0, 1, 2]], np.uint8)
    assert table(tmp_path, count_void=True).index_mask(labels).tolist() == [[4, 7, 255]]
    # Where one class has none, another's value could be its place: all of them are written as places.
    assert table(tmp_path, count_void=True, void={"name": "void", "colour": [0, 0, 0]}).index_mask(
        labels
    ).tolist() == [[0, 1, 2]]


def test_how_classes_differ():
    assert names_unlike("abc", "abc", "model") == ""
    assert names_unlike("abc", "acb", "model") == "the classes differ (in their order)"
    assert (
        names_unlike("abc", "abd", "model")
        == "the classes differ (c only in the model, d only in the masks)"
    )


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
        classes.read(write(tmp_path / "i.png", classes.index_mask(labels))), labels
    )
    colours = write(tmp_path / "c.png", classes.palette()[labels][..., ::-1])
    if file.stem == "cityscapes34":  # five of its classes are black
        with pytest.raises(UserError, match="is of two classes"):
            classes.read(colours)
    else:
        assert np.array_equal(classes.read(colours), labels)
    assert parse_classes(classes.to_dict()) == classes


def test_camvids_32_colours_are_fused_into_the_papers_classes(tmp_path):
    """Each colour of CamVid's own list, by name, into the class that SegNet and LinkNet count it to."""
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


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"classes": []}, "2 to 250 classes, not 0"),
        ({"classes": None}, "it needs a list of classes"),
        (
            {"classes": TABLE["classes"] + [{"name": "sky", "colour": [0, 0, 1]}]},
            "name 'sky' stands there twice",
        ),
        (
            {"void": {"name": "void", "colour": [0, 0, 0], "values": [4]}},
            "value 4 stands there twice",
        ),
        ({"void": {"name": "void", "colour": [0, 0]}}, "a colour is three numbers from 0 to 255"),
        ({"void": {"name": "void", "colour": [0, 0, 0], "value": 3}}, "unknown key 'value'"),
        (
            {"void": {"name": "void", "colour": [0, 0, 0], "values": [256]}},
            "void: values are a list of numbers from 0 to 255, not [256]",
        ),
        (
            {"void": {"name": "void", "colour": [0, 0, 0], "values": "12"}},
            "void: values are a list of numbers from 0 to 255, not '12'",
        ),
        (
            {"void": {"name": "void", "colour": "123"}},
            "a colour is three numbers from 0 to 255, not '123'",
        ),
        (
            {"void": {"name": "void", "colour": [0, 0, 0], "colours": 7}},
            "void: colours are a list of at most 256 colours, not 7",
        ),
        ({"void": {"colour": [0, 0, 0]}}, "a class has a name and a colour"),
        ({"classes": ["sky", "land"]}, "a class has a name and a colour, and 'sky' does not"),
        (
            {
                "classes": [
                    {"name": "a wood", "colour": [0, 0, 1]},
                    {"name": "a_wood", "colour": [0, 0, 2]},
                ]
            },
            "name 'a_wood' stands there twice",
        ),
    ],
)
def test_a_table_that_is_none_is_one_line(tmp_path, changes, words):
    with pytest.raises(UserError) as error:
        table(tmp_path, **changes)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_a_table_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match="cannot read .*gone.yaml"):
        read_table(tmp_path / "gone.yaml", False)
    (tmp_path / "bad.yaml").write_text("classes: [")
    with pytest.raises(UserError, match="bad.yaml is no class table .line 1: not YAML"):
        read_table(tmp_path / "bad.yaml", False)


def test_roads_have_one_map():
    assert ROADS.outputs == 1 and ROADS.outside == 0
