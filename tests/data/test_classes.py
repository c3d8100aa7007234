"""What roads and class tables have in common."""

from dlinknet.data.class_table import ClassTable, table_of
from dlinknet.data.classes import Class, names_unlike

LISTED = (Class("sky", (0, 0, 0)), Class("land", (1, 2, 3)))
VOID = Class("void", (9, 9, 9))


def test_a_void_that_counts_has_a_map_too():
    for table, names in (
        (ClassTable(LISTED, VOID), ("sky", "land")),
        (ClassTable(LISTED, VOID, counted=True), ("sky", "land", "void")),
        (ClassTable(LISTED, None, counted=True), ("sky", "land")),
    ):
        assert table.names == table.map_names == names and table.outputs == len(names)
        assert table_of(table) is table


def test_how_classes_differ():
    assert names_unlike("abc", "abc", "model") == ""
    assert names_unlike("abc", "acb", "model") == "the classes differ (in their order)"
    assert (
        names_unlike("abc", "abd", "model")
        == "the classes differ (c only in the model, d only in the masks)"
    )
