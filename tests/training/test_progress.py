"""The state of a training in its checkpoint's text: it is read back, or a fault is named."""

import json
import math

import pytest

from dlinknet.data.class_table import ClassTable
from dlinknet.data.classes import Class
from dlinknet.files.fields import BadFields
from dlinknet.training.identity import DataIdentity
from dlinknet.training.progress import Best, Position, SavedRun, State
from dlinknet.training.schedules import PlateauRule, Timetable
from tests.training.mutants import mutant


def row(epoch):
    return {
        "epoch": epoch,
        "train_loss": 1.25,
        "learning_rate": 2e-4,
        "loss_scale": 1024.0,
        "skipped_steps": 0,
        "seconds": 7.5,
        "images_per_second": 2.0,
        "road_iou": 0.5,
        "recall": math.nan,
    }


STATE = State(Position(3, 8, 2.5, 1, 4.0), 22, Best("road_iou", 0.5, 1), [row(1), row(2)], "", 0)
RULE = PlateauRule(2e-4, 1.25, 1)
DATA = DataIdentity(
    ("r0", "r1"), (), "9" * 64, ClassTable((Class("a", (0, 0, 0)), Class("b", (1, 0, 0), (1,))))
)
TEXT = {
    **STATE.to_dict(),
    "epoch": 3,
    "seed": 1,
    "learning_rate": 2e-4,
    "loss_scale": 1024.0,
    "plateau": RULE.to_dict(),
    "settings": {"batch_size": 4, "augment": "dlinknet", "tf32": False, "learning_rate": 2e-4},
    "data": DATA.to_dict(),
}


def changed(**values):
    text = json.loads(json.dumps(TEXT))
    for path, value in values.items():
        *owners, name = path.split("__")
        owner = text
        for each in owners:
            owner = owner[int(each) if each.isdigit() else each]
        if value is KeyError:
            del owner[name]
        else:
            owner[name] = value
    return text


def test_a_run_comes_back_as_it_was_written():
    found = SavedRun.from_dict(changed())
    # NaN is not NaN: compared as text.
    assert (
        repr(found.state) == repr(STATE)
        and found.schedule == RULE
        and found.data == DATA
        and found.settings == TEXT["settings"]
    )
    table = Timetable("step", 2e-4, 30, 3, 2, 0.5)
    assert SavedRun.from_dict(changed(plateau=table.to_dict())).schedule == table
    start = SavedRun.from_dict(
        {
            **changed(),
            **State().to_dict(),
            "plateau": json.loads(json.dumps(PlateauRule(0.1).to_dict())),
        }
    )
    assert start.state == State() and start.schedule.lowest_loss == math.inf


def test_runs_from_before_class_tables_come_back():
    assert SavedRun.from_dict(changed(data__classes=KeyError)).data.classes is None
    assert SavedRun.from_dict(changed(data__classes=None)).data.classes is None


@pytest.mark.parametrize("name", TEXT)
def test_a_missing_key_is_named(name):
    with pytest.raises(BadFields, match=f"^{name} is missing$"):
        SavedRun.from_dict(changed(**{name: KeyError}))


@pytest.mark.parametrize(
    "path, value, words",
    [
        ("step", -1, "step is -1, not a whole number from 0 on"),
        ("step", True, "step is True"),
        ("step", 2.0, "step is 2.0"),
        ("step", 10**30, "step is 1000000000000000000000000000000"),
        ("position", [], "position is [], not a dict"),
        ("position__epoch", None, "position.epoch is None"),
        ("position__epoch", 9, "position.epoch is 9 after 2 epochs"),
        ("position__loss_sum", math.nan, "position.loss_sum is nan, not a finite number"),
        ("position__seconds", -1, "at least 0"),
        ("position__images", KeyError, "position.images is missing"),
        ("best", None, "best is None"),
        ("best", {"x": 1}, "best.figure is missing"),
        ("best__value", "0.5", "best.value is '0.5', not a number"),
        ("rows", None, "rows is None, not a list"),
        ("rows", [3], "rows 1 is 3"),
        ("rows__1__epoch", 3, "rows 2 is not the row of epoch 2"),
        ("rows__1__recall", KeyError, "rows 2 is not the row of epoch 2"),
        ("rows__0__train_loss", math.inf, "rows 1.train_loss is inf"),
        ("rows__0__road_iou", [], "rows 1.road_iou is [], not a number"),
        ("ended", 0, "ended is 0, not a text"),
        ("overflows_at_one", -3, "overflows_at_one is -3"),
        ("loss_scale", 0, "loss_scale is 0, not above 0"),
        ("settings", None, "settings is None"),
        ("settings__augment", [1], "settings.augment is neither"),
        ("data", {}, "data.train is missing"),
        ("data__train", [1], "data.train holds 1, not a text"),
        ("data__files", 5, "data.files is 5"),
        ("data__classes", {"a": 1}, "data.classes: it needs a list of classes"),
        ("plateau", {}, "plateau.learning_rate is missing"),
        ("plateau", [], "plateau is [], not a dict"),
        ("plateau__lowest_loss", math.nan, "plateau has the lowest_loss NaN"),
        ("plateau__learning_rate", 0, "above 0"),
        ("plateau__epochs_without", -1, "plateau.epochs_without is -1"),
        (
            "plateau",
            {"learning_rate": 1, "kind": "step", "highest": 1, "steps": 0},
            "plateau.steps is 0, not a whole number from 1 on",
        ),
    ],
)
def test_what_is_of_another_type_or_range_is_named(path, value, words):
    with pytest.raises(BadFields) as error:
        SavedRun.from_dict(changed(**{path: value}))
    assert words in str(error.value) and len(str(error.value)) <= 160


def test_mutants_are_runs_or_refused():
    refused = 0
    for seed in range(2000):
        try:
            SavedRun.from_dict(mutant(TEXT, seed))
        except BadFields as error:
            refused += 1
            assert len(str(error)) <= 160 and "\n" not in str(error)
    assert 1000 < refused < 2000
