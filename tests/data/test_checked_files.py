"""A restart checks only files that have changed since an earlier start."""

import json
import os

import numpy as np
import pytest

from dlinknet.commands.data_sets import training_sets
from dlinknet.data import pairs
from dlinknet.data.checked_files import CheckedFiles, to_text
from dlinknet.data.layouts import TABLES
from dlinknet.data.pairs import read_pairs
from dlinknet.data.read_table import read_table
from dlinknet.data.roads import ROADS
from dlinknet.errors import UserError
from tests.conftest import stripes, write_pair
from tests.data.test_layouts import settings


@pytest.fixture
def folder(tmp_path):
    """Four pairs, and the file that remembers them."""
    for number in range(4):
        write_pair(tmp_path / "data", f"p{number}", *stripes(number, 40, 48))
    found = read_pairs(str(tmp_path / "data"), str(tmp_path / "data"))
    (tmp_path / "checked.json").write_text(to_text(found, ROADS))
    return tmp_path


@pytest.fixture
def decoded(monkeypatch):
    """The names of the images that the check decodes from now on."""
    names, own = [], pairs.prove

    def prove(file):
        names.append(file.name)
        own(file)

    monkeypatch.setattr(pairs, "prove", prove)
    return names


def start(folder):
    return training_sets(settings(f"--data_path={folder / 'data'}"), folder / "checked.json")[1]


def test_a_restart_decodes_nothing_and_knows_the_same(folder, decoded):
    again = start(folder)
    assert decoded == []
    fresh = training_sets(settings(f"--data_path={folder / 'data'}"))[1]
    assert len(decoded) == 4 and again == fresh
    for one, other in zip(again, fresh):
        assert (one.height, one.width) == (40, 48)
        assert np.array_equal(one.marks.labels, other.marks.labels) and one.marks.labels[1] > 0
        assert (one.marks.unknown, one.marks.largest, one.marks.alpha) == (
            other.marks.unknown,
            other.marks.largest,
            other.marks.alpha,
        )


def test_a_changed_file_is_checked_again(folder, decoded):
    mask = folder / "data" / "p2_mask.png"
    os.utime(mask, ns=(1, 1))
    assert [pair.id for pair in start(folder)] == ["p0", "p1", "p2", "p3"]
    assert decoded == ["p2_sat.jpg"]
    state = os.stat(folder / "data" / "p1_sat.jpg")
    (folder / "data" / "p1_sat.jpg").write_bytes(b"no image")
    os.utime(folder / "data" / "p1_sat.jpg", ns=(state.st_atime_ns, state.st_mtime_ns))
    with pytest.raises(UserError, match="1 bad file .p1_sat.jpg"):
        start(folder)


def test_a_file_that_changes_after_its_check_is_checked_again(folder, decoded):
    """The training writes what it has checked later, when it begins."""
    found = start(folder)
    os.utime(folder / "data" / "p3_sat.jpg", ns=(1, 1))
    (folder / "checked.json").write_text(to_text(found, ROADS))
    start(folder)
    assert decoded == ["p3_sat.jpg"]


def test_a_new_pair_and_a_missing_one_are_noticed(folder, decoded):
    write_pair(folder / "data", "p4", *stripes(4, 40, 48))
    assert len(start(folder)) == 5 and decoded == ["p4_sat.jpg"]
    (folder / "data" / "p0_mask.png").unlink()
    with pytest.raises(UserError, match="1 image without a mask .p0_sat.jpg"):
        start(folder)


def changed(text, **fields):
    """Return the text with other fields in its first pair."""
    values = json.loads(text)
    values["pairs"][0].update(fields)
    return json.dumps(values)


@pytest.mark.parametrize(
    "damage, checked",
    [
        (lambda text: text[: len(text) // 2], 4),
        (lambda text: "[]", 4),
        (lambda text: json.dumps({**json.loads(text), "pairs": [3]}), 4),
        (lambda text: json.dumps({**json.loads(text), "checked_by": ["0.9"]}), 4),
        (lambda text: changed(text, size=[40]), 1),
        (lambda text: changed(text, size=[0, 48]), 1),
        (lambda text: changed(text, labels={"300": 4}), 1),
        (lambda text: changed(text, labels={"1": -4}), 1),
        (lambda text: changed(text, largest=None), 1),
        (lambda text: changed(text, mask="/elsewhere/p0_mask.png"), 1),
        (lambda text: changed(text, image_state="new"), 1),
    ],
)
def test_a_damaged_memory_is_not_used(folder, decoded, damage, checked):
    file = folder / "checked.json"
    file.write_text(damage(file.read_text()))
    assert len(start(folder)) == 4 and len(decoded) == checked


def test_other_classes_check_again(folder):
    assert len(CheckedFiles.read(folder / "checked.json", ROADS).entries) == 4
    table = read_table(TABLES / "camvid.yaml", False)
    assert not CheckedFiles.read(folder / "checked.json", table).entries
    assert not CheckedFiles.read(folder / "missing.json", ROADS).entries
