"""The JSON beside an export: what it says, and what is refused."""

import json

import pytest

from dlinknet.data.preprocess import Preprocessing
from dlinknet.errors import UserError
from dlinknet.inference import description
from tests.training.mutants import mutant


@pytest.fixture
def model(tmp_path):
    file = tmp_path / "a.onnx"
    file.write_bytes(b"model")
    shape = description.Shape(2, (64, 96))
    description.write(
        file,
        {
            "sha256": description.sha256(file),
            "model": "dlinknet34",
            "classes": 1,
            **shape.to_dict(1),
        },
    )
    return file


def change(file, **values):
    path = description.path_of(file)
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(
    "shape, sides, output",
    [
        (description.Shape(2, (64, 96)), [2, 3, 64, 96], [2, 1, 64, 96]),
        (description.Shape(2, (64, 96), pixels=True), [2, 64, 96, 3], [2, 1, 64, 96]),
        (
            description.Shape(1, (32, 32), dynamic=True),
            [None, 3, None, None],
            [None, 1, None, None],
        ),
        (
            description.Shape(1, (32, 32), dynamic=True, pixels=True),
            [None, None, None, 3],
            [None, 1, None, None],
        ),
    ],
)
def test_a_shape_round_trips(model, shape, sides, output):
    assert shape.of_input() == sides
    change(model, **shape.to_dict(1))
    values = json.loads(description.path_of(model).read_text())
    assert (
        description.read(str(model)).shape == shape
        and values["input"]["shape"] == sides
        and values["output"]["shape"] == output
    )


def test_the_sum_is_that_of_the_bytes(model):
    # sha256sum of the five letters 'model'
    assert (
        description.sha256(model)
        == "9372c470eeadd5ecd9c3c74c2b3cb633f8e2f2fad799250a0f70d652b6b825e4"
    )


@pytest.mark.parametrize(
    "damage, words",
    [
        (lambda model: model.unlink(), "there is no file"),
        (
            lambda model: description.path_of(model).unlink(),
            "a.onnx.json is missing, which export.py writes",
        ),
        (lambda model: description.path_of(model).write_text("{"), "is not what export.py writes"),
        (lambda model: description.path_of(model).write_text("[]"), "is not what export.py writes"),
        (
            lambda model: description.path_of(model).write_bytes(b"\xff\xfe"),
            "is not what export.py writes",
        ),
        (lambda model: change(model, input={"shape": [1]}), "is not what export.py writes"),
        (lambda model: change(model, classes=5), "of a kind that this dlinknet does not know"),
        (
            lambda model: change(
                model,
                preprocessing={"where": "host", "scale": 2.0, "shift": -1.0, "pad": "reflect_101"},
            ),
            "of a kind",
        ),
        (lambda model: change(model, format=2, input=None), "from a later dlinknet"),
        (lambda model: model.write_bytes(b"other"), "is damaged, was replaced, or was converted"),
    ],
)
def test_what_is_refused_in_one_line(model, damage, words):
    damage(model)
    with pytest.raises(UserError) as error:
        description.read(str(model))
    assert words in str(error.value) and "\n" not in str(error.value)


def test_several_classes_and_another_preprocessing(tmp_path):
    file, table = (
        tmp_path / "a.onnx",
        {"classes": [{"name": name, "colour": [n, 0, 0]} for n, name in enumerate("abc")]},
    )
    file.write_bytes(b"model")
    shape = description.Shape(1, (64, 96))
    preprocessing = Preprocessing(1.0, (-0.406, -0.456, -0.485), (480, 640))
    description.write(
        file,
        {
            "sha256": description.sha256(file),
            "model": "linknet18",
            "classes": 3,
            "class_table": table,
            **shape.to_dict(3, preprocessing),
        },
    )
    found = description.read(str(file))
    assert found.shape == shape and found.card.preprocessing == preprocessing
    assert found.card.classes == 3 and found.card.class_table.names == ("a", "b", "c")
    change(file, class_table={"classes": table["classes"][:2]})
    with pytest.raises(UserError, match="is not what export.py writes"):
        description.read(str(file))


def nested(model, part, **values):
    before = json.loads(description.path_of(model).read_text())[part]
    change(model, **{part: {**before, **values}})


def rename(file, name):
    change(file, **{"model": name})


@pytest.mark.parametrize(
    "damage, words",
    [
        (
            lambda model: description.path_of(model).write_text("[" * 900 + "]" * 900),
            "more than 20 levels",
        ),
        (
            lambda model: description.path_of(model).write_text('{"format": 1, "input": Infinity}'),
            "Infinity is not a finite number",
        ),
        (
            lambda model: description.path_of(model).write_text(
                "version https://git-lfs.github.com/spec/v1"
            ),
            "it is a Git LFS pointer",
        ),
        (lambda model: change(model, format=True), "format is True"),
        (lambda model: change(model, format=None), "format is None"),
        (lambda model: change(model, classes=True), "classes is True"),
        (lambda model: rename(model, ["x"]), "model is ['x']"),
        (lambda model: change(model, padding=None), "padding is None"),
        (lambda model: change(model, sha256=7), "sha256 is 7, not a text"),
        (lambda model: change(model, mindspore=[1]), "mindspore is [1]"),
        (lambda model: change(model, input=[]), "input is [], not a dict"),
        (
            lambda model: nested(model, "input", shape=[True, 3, 64, 96]),
            "input.shape.batch is True, not a whole number from 1 to 65536",
        ),
        (
            lambda model: nested(model, "input", shape=[65537, 3, 64, 96]),
            "input.shape.batch is 65537",
        ),
        (
            lambda model: nested(model, "input", shape=[2, 3, 64.0, 96]),
            "input.shape.height is 64.0",
        ),
        (
            lambda model: nested(model, "input", shape=[2, 3, 65, 96]),
            "65 x 96, and sides are multiples of 32",
        ),
        (
            lambda model: nested(model, "input", shape=[2, 3, 64, 2**20 + 32]),
            "input.shape.width is 1048608",
        ),
        (lambda model: nested(model, "input", shape=[2, 3, 0, 96]), "input.shape.height is 0"),
        (lambda model: nested(model, "input", shape=[2, 3, 64, None]), "input.shape.width is None"),
        (
            lambda model: nested(model, "input", shape=[2, 3, 64]),
            "input.shape has 3 numbers, not 4",
        ),
        (
            lambda model: nested(model, "input", shape=[None, 3, None, 96]),
            "of a kind that this dlinknet does not know",
        ),
        (lambda model: nested(model, "input", shape=[2, 4, 64, 96]), "of a kind"),
        (lambda model: nested(model, "output", type="float16"), "of a kind"),
        (lambda model: nested(model, "preprocessing", scale=True), "preprocessing.scale is True"),
        (lambda model: nested(model, "preprocessing", where="nowhere"), "of a kind"),
        (lambda model: change(model, output=3), "of a kind"),
        (lambda model: model.write_bytes(b""), "a.onnx is empty"),
        (lambda model: model.write_bytes(b"<html>"), "a.onnx is a web page"),
    ],
)
def test_what_lies_is_one_short_line(model, damage, words):
    damage(model)
    with pytest.raises(UserError) as error:
        description.read(str(model))
    assert (
        words in str(error.value)
        and len(str(error.value)) - 2 * len(str(model)) <= 300
        and "\n" not in str(error.value)
    )


def test_mutants_are_read_or_refused(model):
    before, refused = json.loads(description.path_of(model).read_text()), 0
    for seed in range(500):
        description.path_of(model).write_text(json.dumps(mutant(before, seed)))
        try:
            description.read(str(model))
        except UserError as error:
            refused += 1
            assert len(str(error)) - 2 * len(str(model)) <= 300
    assert 250 < refused < 500
