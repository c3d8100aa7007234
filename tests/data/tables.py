"""Class tables for the tests of masks."""

import yaml

from dlinknet.data.read_table import parse_classes, read_table

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
COLOURS = parse_classes(
    {
        "classes": [
            {"name": "ground", "colour": [0, 0, 0], "values": [0]},
            {"name": "road", "colour": [128, 64, 128], "values": [1]},
            {"name": "tree", "colour": [0, 128, 0], "values": [2]},
        ],
        "void": {"name": "void", "colour": [255, 255, 255], "values": [255]},
    }
)


def table(folder, count_void=False, **changes):
    """Return the table of a YAML file that holds TABLE with some other values."""
    file = folder / "table.yaml"
    file.write_text(yaml.safe_dump({**TABLE, **changes}))
    return read_table(file, count_void)
