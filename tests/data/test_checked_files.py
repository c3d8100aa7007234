"""A restart checks only files that have changed since an earlier start."""

import json
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from dlinknet.commands import train
from dlinknet.commands.data_sets import training_sets
from dlinknet.data import pairs
from dlinknet.data.checked_files import CheckedFiles, check_once, to_text
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
    return training_sets(settings(f"--data_path={folder / 'data'}"), [folder / "checked.json"])[1]


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
    assert len(CheckedFiles.read([folder / "checked.json"], ROADS).entries) == 4
    table = read_table(TABLES / "camvid.yaml", False)
    assert not CheckedFiles.read([folder / "checked.json"], table).entries
    assert not CheckedFiles.read([folder / "missing.json"], ROADS).entries


def of_rank(folder, rank):
    """Return the settings of a rank of a training."""
    words = [f"--data_path={folder / 'data'}", f"--output_path={folder / f'LOG{rank}'}"]
    return settings(*words, "--run_distribute=True")


def read_as_rank(folder, rank):
    """Return the data as a rank of a training reads it, before it knows its number."""
    return train._read_data(of_rank(folder, rank))


@pytest.fixture
def temporary(folder, monkeypatch):
    place = folder / "tmp"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


def test_one_rank_of_a_machine_checks_for_all(folder, temporary, decoded):
    first, *others = [read_as_rank(folder, rank) for rank in range(3)]
    assert len(decoded) == 4
    assert all(other.checked == first.checked for other in others)
    assert all(other.identity == first.identity for other in others)
    (place,) = temporary.iterdir()
    assert place.stat().st_mode & 0o777 == 0o700
    write_pair(folder / "data", "p1", *stripes(9, 40, 48))
    assert read_as_rank(folder, 0).checked != first.checked
    assert decoded[4:] == ["p1_sat.jpg"]


def test_a_rank_waits_for_the_one_that_checks(folder, temporary, decoded):
    with ThreadPoolExecutor(2) as pool:
        with check_once(train._folders(of_rank(folder, 0))):
            waiting = [pool.submit(read_as_rank, folder, rank) for rank in range(2)]
            time.sleep(0.5)
            assert not decoded and not any(rank.done() for rank in waiting)
        assert len({len(rank.result().training) for rank in waiting}) == 1
    assert len(decoded) == 4


def test_ranks_check_by_themselves_if_they_cannot_share(folder, temporary, decoded, monkeypatch):
    with check_once(["a"]) as shared:
        assert shared.parent.parent == temporary
    monkeypatch.setattr(os, "getuid", lambda: os.geteuid() + 1)
    (temporary / f"dlinknet_checked_{os.getuid()}").mkdir()  # of somebody else, then
    with check_once(["a"]) as shared:
        assert shared is None
    read_as_rank(folder, 0)
    read_as_rank(folder, 1)
    assert len(decoded) == 8
