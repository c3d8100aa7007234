"""The training loop with a tiny network: updates, skipped steps, files and errors."""

import csv
import logging
import resource

import mindspore
import numpy as np
import pytest

from dlinknet import config
from dlinknet.checkpoints import save
from dlinknet.checkpoints.load import load_network, set_value
from dlinknet.checkpoints.read import read_checkpoint
from dlinknet.commands.training import loader_of, recipe_of
from dlinknet.console import LOG
from dlinknet.data.pairs import read_pairs
from dlinknet.data.roads import ROADS
from dlinknet.devices import runtime
from dlinknet.devices.ranks import Ranks
from dlinknet.errors import RunFailed
from dlinknet.evaluation.metrics import ROAD_FIGURES
from dlinknet.models.encoders.resnet import BasicBlock, ResNet
from dlinknet.models.linknet import LinkNet
from dlinknet.training.identity import data_identity
from dlinknet.training.loop import Trainer
from dlinknet.training.run import RunFiles
from dlinknet.training.step import row_sums


@pytest.fixture
def make(stripe_data, tmp_path):
    """Return make(*settings, validate=None) -> a Trainer of a LinkNet with one block per stage."""

    pairs = read_pairs(str(stripe_data), str(stripe_data))

    def build(*arguments, validate=None, folder="run"):
        settings = config.load(
            [
                "--batch_size=3",
                "--train_size=32",
                "--epoch_num=2",
                "--learning_rate=0.002",
                *arguments,
            ],
            "",
        )
        mindspore.set_seed(settings.seed)
        network = LinkNet(ResNet(BasicBlock, (1, 1, 1, 1)), 1)
        loader = loader_of(settings, pairs, ROADS, Ranks())
        (tmp_path / folder).mkdir(exist_ok=True)
        files = RunFiles(tmp_path / folder, settings.log_name)
        recipe = recipe_of(settings, pairs, ROADS, None)
        trainer = Trainer(recipe, network, loader, files, data_identity(pairs, []))
        trainer.settings = settings
        if validate:
            trainer.validate_with(lambda: validate(network), ROAD_FIGURES)
        return trainer

    return build


@pytest.fixture
def lines(caplog):
    """Return lines() -> the lines of the log."""
    LOG.propagate = True
    caplog.set_level(logging.INFO, "dlinknet")
    yield lambda: [record.getMessage() for record in caplog.records]
    LOG.propagate = False


def weights(trainer):
    return {p.name: p.asnumpy().copy() for p in trainer.network.get_parameters()}


def test_a_run_learns_leaves_whole_files_and_is_repeatable_bit_by_bit(make, lines):
    figures = iter(
        [
            {"road_iou": 0.3, "precision": 0.5, "recall": float("nan"), "f1": 0.4},
            {"road_iou": 0.2, "precision": 0.5, "recall": 0.5, "f1": 0.5},
        ]
    )
    first = make("--log_name=one", validate=lambda network: next(figures))
    first.run()
    files = first.files
    assert sorted(p.name for p in files.folder.iterdir()) == [
        "one_best.ckpt",
        "one_curves.png",
        "one_epochs.csv",
        "one_last.ckpt",
        "one_plateau.ckpt",
        "one_previous.ckpt",
    ]
    with open(files.path("epochs.csv"), encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"] and float(rows[1]["train_loss"]) < float(
        rows[0]["train_loss"]
    )
    assert (
        rows[0]["recall"] == "" and rows[1]["recall"] == "0.5" and rows[0]["skipped_steps"] == "0"
    )
    best, last = (read_checkpoint(str(file)) for file in (files.best, files.last))
    assert (best.meta["epoch"], last.meta["epoch"], last.meta["step"]) == (1, 2, 4)
    assert (
        best.meta["best"] == last.meta["best"] == {"figure": "road_iou", "value": 0.3, "epoch": 1}
    )
    assert (
        last.meta["model"] == "dlinknet34"
        and last.meta["classes"] == 1
        and last.meta["loss_scale"] == 2**24
    )
    assert (
        last.meta["preprocessing"]["scale"] == 3.2
        and last.meta["plateau"]["learning_rate"] == 0.002
    )
    final = weights(first)
    assert all(np.array_equal(last.tensors[name], value) for name, value in final.items())
    # The last checkpoint has everything that a resume needs. The best one has the network only.
    assert {
        "moment1.head.conv2.weight",
        "moment2.head.conv2.weight",
        "beta1_power",
        "global_step",
        "scale_value",
        "counter",
    } <= last.tensors.keys()
    assert best.tensors.keys() == final.keys()
    assert any("road_iou 0.3000" in line and "(best)" in line for line in lines())

    second = make("--log_name=two", folder="second")
    second.run()
    assert all(np.array_equal(value, final[name]) for name, value in weights(second).items())
    assert read_checkpoint(str(second.files.best)).meta["best"]["figure"] == "train_loss"
    load_network(last, second.network)


def test_an_overflow_skips_the_update_is_logged_and_lowers_the_scale(make, lines):
    trainer = make("--init_loss_scale=1e38", "--scale_factor=1048576", "--epoch_num=1")
    head = trainer.network.head.conv2.weight
    set_value(head, head.asnumpy() * 1000)  # gradients of more than 3.4, which 1e38 makes infinite
    before = weights(trainer)
    trainer.run()
    assert trainer.state.rows[0][
        "skipped_steps"
    ] == 1 and trainer.records.loss_scale == pytest.approx(1e38 / 1048576, rel=1e-5)
    assert (
        "epoch 1, step 1: gradients overflowed, update skipped, loss scale now 9.53674e+31"
        in lines()
    )
    assert not np.array_equal(weights(trainer)["head.conv2.weight"], before["head.conv2.weight"])

    images, masks = next(iter(trainer.loader.epoch(1)))
    set_value(trainer.scaler.scale_value, 1e38)
    for parameter in trainer.network.get_parameters():
        set_value(parameter, before[parameter.name])
    trainer.network.set_train(True)
    before = weights(trainer)
    loss, finite, _ = trainer.step_function(images, masks).asnumpy()
    assert np.isfinite(loss) and not finite
    after = weights(trainer)
    assert all(
        np.array_equal(after[p.name], before[p.name]) for p in trainer.network.trainable_params()
    )


@pytest.mark.parametrize("values", [[np.inf], [np.nan], [np.inf, -np.inf]])
def test_one_value_that_is_not_finite_shows_in_its_gradients_row_sums(values):
    gradients = [np.ones((2, 3, 3, 3), np.float32), np.ones(5, np.float32)]
    for gradient in gradients:
        assert np.array_equal(
            row_sums(mindspore.Tensor(gradient)).asnumpy(),
            gradient.reshape(len(gradient), -1).sum(1),
        )
        gradient.ravel()[-len(values) :] = values
        assert not np.isfinite(row_sums(mindspore.Tensor(gradient)).asnumpy()).all()


def test_gradients_that_never_become_finite_end_the_run(make):
    trainer = make("--init_loss_scale=1")
    answers = iter([False, True, False, False])  # two in a row end it, not two in all
    trainer.step_function = lambda images, masks: mindspore.Tensor([0.5, next(answers), 1.0])
    with pytest.raises(
        RunFailed,
        match="epoch 2, step 4, even with a loss scale of 1; "
        ".*last.ckpt is whole .epoch 1, step 2.",
    ):
        trainer.run()


def test_the_scale_grows_after_a_window_without_overflow(make):
    trainer = make("--scale_window=2", "--init_loss_scale=16", "--scale_factor=4")
    trainer.run()  # four steps: twice a window
    assert [row["loss_scale"] for row in trainer.state.rows] == [64, 256]


def test_a_loss_that_is_not_a_number_ends_the_run_and_keeps_the_checkpoints(make):
    poison = iter([False, True])

    def validate(network):
        if next(poison):
            set_value(network.head.conv2.bias, np.array([np.nan]))
        return dict.fromkeys(("road_iou", "precision", "recall", "f1"), 0.1)

    trainer = make("--epoch_num=3", validate=validate)
    with pytest.raises(RunFailed) as error:
        trainer.run()
    text = str(error.value)
    assert (
        "the loss is nan in epoch 3, step 5" in text
        and "_last.ckpt is whole (epoch 2, step 4)" in text
        and "\n" not in text
    )
    assert np.isfinite(
        read_checkpoint(str(trainer.files.plateau)).tensors["encoder.conv1.weight"]
    ).all()


def test_a_plateau_goes_back_to_the_weights_of_the_lowest_loss_and_stops(make, monkeypatch, lines):
    trainer = make("--epoch_num=20")
    losses = iter([1.0, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6])
    seen = []

    def train_epoch(epoch):
        # Stands in for the steps: each epoch marks the weights with its number.
        bias = trainer.network.head.conv2.bias
        seen.append(
            (epoch, float(bias.asnumpy()[0]), float(trainer.optimizer.learning_rate.asnumpy()))
        )
        set_value(bias, np.array([epoch]))
        return {
            "epoch": epoch,
            "train_loss": next(losses),
            "learning_rate": trainer.schedule.learning_rate,
            "loss_scale": 1.0,
            "skipped_steps": 0,
            "seconds": 1.0,
            "images_per_second": 1.0,
        }

    monkeypatch.setattr(trainer, "_train_epoch", train_epoch)
    trainer.run()
    # Epoch 2 has the lowest loss. Epochs 3, 4 and 5 run on. 6 is the fourth without a lower loss:
    # from then on, epoch 2's weights are back.
    assert [at_start for _, at_start, _ in seen[2:]] == [2, 3, 4, 5, 2, 2, 2]
    assert [rate for _, _, rate in seen] == pytest.approx([2e-3] * 6 + [4e-4, 8e-5, 1.6e-5])
    assert (
        len(trainer.state.rows) == 9
        and "training ends early: no lower training loss in 7 epochs" in lines()
    )
    assert any(
        line.startswith("no lower training loss in 4 epochs: back to the weights of loss 0.5000")
        for line in lines()
    )


def test_a_changed_learning_rate_reaches_the_compiled_step(make):
    trainer = make("--augment=none")
    images, masks = next(iter(trainer.loader.epoch(1)))
    trainer.network.set_train(True)
    trainer.step_function(images, masks)
    set_value(trainer.optimizer.learning_rate, 0.0)
    before = weights(trainer)
    trainer.step_function(images, masks)
    assert all(
        np.array_equal(weights(trainer)[p.name], before[p.name])
        for p in trainer.network.trainable_params()
    )


def test_weights_put_back_are_those_that_the_compiled_step_trains(make):
    """The model zoo's D-LinkNet fails here, and Parameter.set_data would fail without an error."""

    trainer = make("--augment=none")
    images, masks = next(iter(trainer.loader.epoch(1)))
    trainer.network.set_train(True)
    trainer.step_function(images, masks)
    save.save(trainer.files.plateau, trainer.network.get_parameters(), {})
    kept = weights(trainer)
    loss_there = float(trainer.step_function(images, masks)[0].asnumpy())
    for _ in range(3):
        loss_later = float(trainer.step_function(images, masks)[0].asnumpy())
    load_network(read_checkpoint(str(trainer.files.plateau)), trainer.network)
    assert all(np.array_equal(value, kept[name]) for name, value in weights(trainer).items())
    assert float(trainer.step_function(images, masks)[0].asnumpy()) == loss_there != loss_later
    # The step trained these very parameters: they have moved away from what was put back.
    assert not np.array_equal(weights(trainer)["head.conv2.weight"], kept["head.conv2.weight"])


def test_a_full_disk_leaves_the_older_checkpoint_and_is_one_error(make, capfd):
    """MindSpore itself fails to write, at a limit on the size of a file."""

    trainer = make()
    save.save(trainer.files.last, trainer.network.get_parameters(), {"epoch": 1})
    before = trainer.files.last.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        with pytest.raises(OSError) as error:
            save.save(trainer.files.last, trainer.network.get_parameters(), {"epoch": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert error.value.filename == str(trainer.files.last)
    assert trainer.files.last.read_bytes() == before
    assert [p.name for p in trainer.files.folder.iterdir()] == [trainer.files.last.name]
    assert read_checkpoint(str(trainer.files.last)).meta["epoch"] == 1
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "error", [RuntimeError("\n---\n- Memory not enough:\n---\nalloc failed"), MemoryError()]
)
def test_too_little_memory_is_one_line_with_the_size_of_a_step(make, error):
    trainer = make("--log_name=oom")

    def failing(*batch):
        raise error

    trainer.step_function = failing
    with pytest.raises(RunFailed) as failure:
        trainer.run()
    assert str(failure.value) == (
        "out of memory with a step of 3 x 32 x 32 (batch x height x width): "
        "lower the batch size or the crop size, for its validation "
        f"the tile size, in a new run; {trainer.files.last} is whole (epoch 0, step 0); "
        "--resume goes on from it"
    )


def test_a_fault_in_a_step_that_is_none_of_memory_keeps_its_kind(make):
    trainer = make("--log_name=fault")

    def failing(*batch):
        raise RuntimeError("The input shapes do not fit")

    trainer.step_function = failing
    with pytest.raises(RuntimeError, match="^The input shapes do not fit$"):
        trainer.run()


def test_a_device_trains_on_bytes_as_a_cpu_on_numbers(make, monkeypatch):
    """The loader serves bytes where MindSpore does not compute on a CPU. Only rounding differs."""
    losses = []
    for target in ("CPU", "GPU"):
        monkeypatch.setattr(runtime, "computes_on", lambda asked, is_=target: asked == is_)
        trainer = make("--epoch_num=1", folder=target)
        assert trainer.loader.pixels == (target == "GPU")
        trainer.run()
        losses.append(trainer.state.rows[0]["train_loss"])
    assert losses[0] > 0.1 and np.isclose(*losses, rtol=1e-4, atol=0), losses
