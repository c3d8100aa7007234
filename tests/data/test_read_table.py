"""Class tables as YAML: a table that is rejected gives one line."""

import pytest

from dlinknet.data.read_table import read_table
from dlinknet.errors import UserError
from tests.data.tables import TABLE, table


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"classes": []}, "2 to 250 classes, not 0"),
        ({"classes": None}, "it needs a list of classes"),
        (
            {"classes": TABLE["classes"] + [{"name": "sky", "colour": [0, 0, 1]}]},
            "the name 'sky' is there twice",
        ),
        (
            {"void": {"name": "void", "colour": [0, 0, 0], "values": [4]}},
            "the value 4 is there twice",
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
            "the name 'a_wood' is there twice",
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
