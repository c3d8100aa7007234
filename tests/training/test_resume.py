"""A run that is cut off and resumed ends as one that was not, to the bit."""

import csv
import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from dlinknet.checkpoints import read as reading
from dlinknet.checkpoints.load import set_value
from dlinknet.checkpoints.read import read_checkpoint
from dlinknet.checkpoints.save import save
from dlinknet.commands.resuming import refuse_changes
from dlinknet.errors import UserError
from dlinknet.training.plateau import read_plateau
from dlinknet.training.progress import Best, Position
from dlinknet.training.resume import resume
from dlinknet.training.stopped import read_newest, read_stopped
from tests.training.mutants import mutant
from tests.training.test_loop import lines, make, weights  # noqa: F401  (fixtures)

SETTINGS = [
    "--epoch_num=3",
    "--batch_size=2",
    "--save_steps=2",
    "--init_loss_scale=64",
    "--scale_window=2",
]


class Cut(Exception):
    """Stands for a power cut."""


def said(road_iou, f1):
    """Return the validation figures of an epoch."""
    return {"road_iou": road_iou, "precision": 0.5, "recall": 0.5, "f1": f1}


def figures():
    """Return the validation figures of epochs 1, 2 and 3; the second epoch is the best."""
    return iter([said(0.2, math.nan), said(0.4, 0.5), said(0.3, 0.5)])


def cut_after(trainer, steps):
    """Make the trainer fail in place of the next step after `steps` steps."""
    whole, numbers = trainer.step_function, itertools.count(trainer.state.step)

    def step(images, masks):
        if next(numbers) == steps:
            raise Cut
        return whole(images, masks)

    trainer.step_function = step


def state(trainer):
    """Return every tensor that training changes."""
    optimizer = {p.name: p.asnumpy() for p in trainer.records.optimizer_and_scaler()}
    return {**weights(trainer), **optimizer}


def table(trainer):
    """Return the rows of the table of epochs on disk, without the times."""
    with open(trainer.files.path("epochs.csv"), encoding="utf-8") as file:
        return [
            {
                key: value
                for key, value in row.items()
                if key not in ("seconds", "images_per_second")
            }
            for row in csv.DictReader(file)
        ]


def resumed(make, folder, file="last", **kwargs):  # noqa: F811
    trainer = make(*SETTINGS, folder=folder, **kwargs)
    resume(trainer, read_stopped(getattr(trainer.files, file)), trainer.files)
    return trainer


@pytest.fixture
def whole(make):  # noqa: F811
    """Return the trainer of an uninterrupted run of three epochs of three steps."""
    epochs = figures()
    trainer = make(*SETTINGS, folder="whole", validate=lambda network: next(epochs))
    trainer.run()
    return trainer


def test_cut_runs_end_as_the_whole_one(make, whole, lines):  # noqa: F811
    epochs = figures()
    trainer = make(*SETTINGS, folder="cut", validate=lambda network: next(epochs))
    cut_after(trainer, 5)
    with pytest.raises(Cut):
        trainer.run()
    assert trainer.state.rows[0]["loss_scale"] == 128, "the loss scale has grown on the way"
    # `last` is of step 4, one step into epoch 2.
    trainer = resumed(make, "cut", validate=lambda network: said(0.4, 0.5))
    assert (trainer.state.step, trainer.state.position.epoch, trainer.state.position.images) == (
        4,
        2,
        2,
    ) and len(trainer.state.rows) == 1
    cut_after(trainer, 7)
    with pytest.raises(Cut):
        trainer.run()
    meta = read_checkpoint(str(trainer.files.last)).meta
    assert (
        meta["step"],
        meta["position"]["epoch"],
        meta["position"]["images"],
        len(meta["rows"]),
    ) == (6, 3, 0, 2)
    # `previous` is of step 6 too, before the validation of epoch 2.
    left = iter(list(figures())[1:])
    trainer = resumed(make, "cut", "previous", validate=lambda network: next(left))
    assert (trainer.state.step, trainer.state.position.epoch, trainer.state.position.images) == (
        6,
        2,
        6,
    ) and len(trainer.state.rows) == 1
    trainer.run()
    assert any(
        line.startswith("resumed from") and line.endswith("epoch 2, 2 of its 6 images are done")
        for line in lines()
    )
    expected, found = state(whole), state(trainer)
    assert (
        expected.keys() == found.keys()
        and {"moment1.head.conv2.weight", "scale_value", "counter"} <= found.keys()
    )
    assert all(np.array_equal(expected[name], found[name]) for name in expected)
    assert table(trainer) == table(whole) and trainer.state.best == whole.state.best == Best(
        "road_iou", 0.4, 2
    )
    for ending in ("best.ckpt", "plateau.ckpt", "last.ckpt"):
        ours, theirs = (read_checkpoint(str(t.files.path(ending))) for t in (trainer, whole))
        assert ours.tensors.keys() == theirs.tensors.keys()
        assert all(
            np.array_equal(ours.tensors[name], theirs.tensors[name]) for name in ours.tensors
        ), ending
        assert (
            ours.meta["plateau"] == theirs.meta["plateau"]
            and ours.meta["best"] == theirs.meta["best"]
        )


def test_a_finished_run_has_nothing_left_and_a_longer_one_goes_on(make, whole, lines):  # noqa: F811
    before = whole.files.last.read_bytes()
    whole.files.path("epochs.csv").unlink()  # killed between the checkpoint and the table
    trainer = resumed(make, "whole", validate=lambda network: {})
    trainer.run()
    assert "nothing is left to train: 3 epochs are done; with more epochs it goes on" in lines()
    assert whole.files.last.read_bytes() == before and len(table(trainer)) == 3
    trainer = resumed(make, "whole", validate=lambda network: said(0.5, 0.1))
    trainer.recipe = replace(trainer.recipe, epochs=4)
    trainer.run()
    assert len(table(trainer)) == 4 and trainer.state.best.epoch == 4


def test_the_plateaus_state_and_an_early_end_are_kept(make, monkeypatch, lines):  # noqa: F811
    def learn(trainer, losses):
        def train_epoch(epoch):
            set_value(trainer.network.head.conv2.bias, np.array([epoch]))
            return {
                "epoch": epoch,
                "train_loss": losses[epoch - 1],
                "learning_rate": trainer.schedule.learning_rate,
                "images_per_second": 1.0,
            }

        monkeypatch.setattr(trainer, "_train_epoch", train_epoch)

    losses = [0.5] + [0.6] * 9
    trainer = make("--epoch_num=5", folder="plateau")
    learn(trainer, losses)
    trainer.run()
    assert trainer.schedule.epochs_without == 4
    recipe = replace(trainer.recipe, epochs=20)
    trainer = resumed(make, "plateau")
    assert trainer.network.head.conv2.bias.asnumpy() == [1] and trainer.schedule.epochs_without == 4
    assert float(trainer.optimizer.learning_rate.asnumpy()) == pytest.approx(4e-4)
    trainer.recipe = recipe
    learn(trainer, losses)
    trainer.run()
    assert (
        len(trainer.state.rows) == 8 and trainer.state.ended == "no lower training loss in 7 epochs"
    )
    trainer = resumed(make, "plateau")
    trainer.recipe = recipe
    trainer.run()
    assert (
        "nothing is left to train: the run ended early, no lower training loss in 7 epochs"
        in lines()
    )
    trainer.files.plateau.unlink()
    with pytest.raises(UserError, match="there is no file .*_plateau.ckpt"):
        resumed(make, "plateau")


@pytest.mark.parametrize("damage", ["cut short", "one bit", "one digit", "no text", "not there"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_is_read(make, damage, lines):  # noqa: F811
    trainer = make()
    files = trainer.files
    for epoch in (1, 2):
        trainer.state.step = epoch
        trainer.records.save_last(trainer.state, trainer.schedule)
    whole = files.last.read_bytes()
    assert read_newest([files.last, files.previous]).saved.state.step == 2
    if damage == "cut short":
        files.last.write_bytes(whole[: len(whole) // 2])
    elif damage == "one bit":
        files.last.write_bytes(
            whole[:1_000_000] + bytes([whole[1_000_000] ^ 1]) + whole[1_000_001:]
        )
    elif damage == "one digit":
        files.last.write_bytes(whole.replace(b'"step": 2', b'"step": 9'))
    elif damage == "no text":
        files.last.write_bytes(whole.replace(b"dlinknet_meta", b"dlinknet_mete"))
    found = read_newest([files.last, files.previous] if damage != "not there" else [files.previous])
    assert found.saved.state.step == 1 and found.file == files.previous
    if damage != "not there":
        assert any(
            "_last.ckpt " in line and line.endswith("; going on from the one before it")
            for line in lines()
        )
        with pytest.raises(UserError, match=".*_last.ckpt .*; .*_last.ckpt "):
            read_newest([files.last, files.last])


@pytest.mark.parametrize(
    "schedule, optimizer",
    [
        pytest.param("one_cycle", "adamw", marks=pytest.mark.long),
        *(
            pytest.param(*names, marks=pytest.mark.slow)
            for names in (("cosine", "rmsprop"), ("step", "sgd"))
        ),
    ],
)
def test_a_timetables_rates_and_every_optimizers_state_go_on(make, schedule, optimizer):  # noqa: F811
    """Stop in the middle of the second epoch.

    The rates of each step and every tensor at the end equal a whole run's.
    """
    asked = [
        f"--schedule={schedule}",
        f"--optimizer={optimizer}",
        "--schedule_epochs=1",
        "--weight_decay=0.01",
    ]

    def noting(trainer):
        rates, own = [], trainer.step_function

        def step(images, masks):
            rates.append(float(trainer.optimizer.learning_rate.asnumpy()))
            return own(images, masks)

        trainer.step_function = step
        return rates

    undisturbed = make(*SETTINGS, *asked, folder=f"whole {schedule}")
    expected = noting(undisturbed)
    undisturbed.run()
    cut = make(*SETTINGS, *asked, folder=schedule)
    cut_after(cut, 4)
    with pytest.raises(Cut):
        cut.run()
    assert not cut.files.plateau.exists(), "a timetable goes back to no earlier weights"

    again = make(*SETTINGS, *asked, folder=schedule)
    resume(again, read_stopped(again.files.last), again.files)
    rates = noting(again)
    again.run()
    assert rates == expected[4:] and len(set(expected)) >= 3
    ours, theirs = state(again), state(undisturbed)
    assert (
        all(np.array_equal(ours[name], theirs[name]) for name in theirs)
        and ours.keys() == theirs.keys()
    )


def test_an_epoch_without_remaining_steps_has_the_rate_of_its_last_step(make):  # noqa: F811
    """Stop in the validation of an epoch whose last step wrote a checkpoint."""

    asked = [*SETTINGS, "--save_steps=3", "--epoch_num=1", "--schedule=cosine"]

    def validate(network):
        raise Cut

    cut = make(*asked, folder="validation", validate=validate)
    with pytest.raises(Cut):
        cut.run()
    again = make(*asked, folder="validation", validate=lambda network: said(0.4, 0.5))
    resume(again, read_stopped(again.files.last), again.files)
    assert again.state.position.images == 6
    again.run()
    # Step 2 of 3 of a cosine.
    last = 0.002 * (1 + math.cos(2 * math.pi / 3)) / 2
    assert again.state.rows[0]["learning_rate"] == pytest.approx(last)
    assert read_stopped(again.files.last).checkpoint.meta["learning_rate"] == pytest.approx(last)


def test_an_epoch_that_more_processes_have_filled_up_is_finished_by_one(make):  # noqa: F811
    """Two processes take the 6 images in two steps of 4: the position is then 8."""

    begun = make(*SETTINGS, folder="fewer")
    begun.state.position = Position(1, 8, 4.0, 0, 1.0)
    begun.state.step = 2
    begun.records.save_last(begun.state, begun.schedule)
    trainer = make(*SETTINGS, "--epoch_num=1", folder="fewer")
    resume(trainer, read_stopped(trainer.files.last), trainer.files)
    trainer.run()
    assert trainer.state.rows[0]["train_loss"] == 0.5 and trainer.state.step == 2


@pytest.fixture
def rewritten(make, monkeypatch):  # noqa: F811
    """Return (trainer, rewrite).

    The trainer's run has ended two of three epochs. rewrite(text) returns its `last` with another
    text, without writing it.
    """

    trainer = make(*SETTINGS, validate=lambda network: said(0.4, 0.5))
    row = {"epoch": 1, "train_loss": 0.5, "learning_rate": 0.002, **said(0.4, math.nan)}
    trainer.state.rows, trainer.state.position, trainer.state.step = (
        [row, {**row, "epoch": 2}],
        Position(3),
        6,
    )
    trainer.state.best = Best("road_iou", 0.4, 1)
    trainer.schedule.update(0.5)
    for file in (trainer.files.best, trainer.files.plateau):
        trainer.records.save_weights(file, trainer.state, trainer.schedule)
    trainer.records.save_last(trainer.state, trainer.schedule)
    tensors = {
        file: reading.read_ckpt(file)
        for file in (trainer.files.best, trainer.files.plateau, trainer.files.last)
    }
    text = json.loads(tensors[trainer.files.last][reading.META].tobytes())
    del text["crc32"]

    def rewrite(values):
        tensors[trainer.files.last][reading.META] = np.frombuffer(
            json.dumps(values).encode(), np.uint8
        )

    monkeypatch.setattr(reading, "read_ckpt", lambda file: dict(tensors[file]))
    return trainer, text, rewrite


def go_on(trainer):
    """Resume a run as train.py does, up to its first step."""

    found = read_newest([trainer.files.last])
    refuse_changes(found.saved, trainer.settings, trainer.identity, found.file)
    resume(trainer, found, trainer.files)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"step": None}, "(step is None, not a whole number from 0 on)"),
        ({"position": {}}, "(position.epoch is missing)"),
        (
            {"position": {"epoch": 3, "images": 10**9, "loss_sum": 1, "skipped": 0, "seconds": 1}},
            "(position.images is 1000000000, and an epoch has 6)",
        ),
        (
            {
                "plateau": {
                    "kind": "step",
                    "learning_rate": 1,
                    "highest": 1,
                    "steps": 1,
                    "steps_an_epoch": 1,
                    "epochs": 1,
                    "factor": 1,
                }
            },
            "(plateau is of another schedule)",
        ),
        (
            {"rows": [{"epoch": n, "train_loss": 1, "learning_rate": 1} for n in (1, 2)]},
            "(rows have no f1)",
        ),
    ],
)
def test_a_text_that_does_not_say_where_the_training_stood(rewritten, change, words):
    trainer, text, rewrite = rewritten
    rewrite(text)
    go_on(trainer)
    rewrite({**text, **change})
    with pytest.raises(UserError) as error:
        go_on(trainer)
    assert f"{trainer.files.last} does not say where its training stood {words}" in str(error.value)


def test_mutants_of_a_text_are_resumed_or_refused(rewritten):
    trainer, text, rewrite = rewritten
    refused = 0
    for seed in range(200):
        rewrite(mutant(text, seed))
        try:
            go_on(trainer)
        except UserError as error:
            refused += 1
            line = str(error).replace(str(trainer.files.folder), "")
            assert len(line) <= 300 and "\n" not in line
    assert 100 < refused < 200


def test_a_plateau_of_which_too_little_is_known_is_refused(make):  # noqa: F811
    trainer = make(*SETTINGS)
    for text in (
        {},
        {"plateau": None},
        {"plateau": {"learning_rate": 1}},
        {"plateau": {"lowest_loss": math.nan, "learning_rate": 1}},
    ):
        save(trainer.files.plateau, trainer.network.get_parameters(), text)
        with pytest.raises(UserError, match="plateau.ckpt does not name the loss of its weights"):
            read_plateau(trainer.files.plateau, trainer.schedule)
