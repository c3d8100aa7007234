"""The training loop: epochs, validation, the plateau rule, checkpoints, and a log that a person can follow."""

from __future__ import annotations

import json
import math
import time
from typing import Any, Callable

import numpy as np
from mindspore import amp

from dlinknet import signals
from dlinknet.checkpoints.load import load_network, set_value
from dlinknet.checkpoints.model_card import ModelCard
from dlinknet.console import LOG, Progress, clock
from dlinknet.data.loader import TrainingLoader
from dlinknet.devices.ranks import Ranks
from dlinknet.errors import InputError, RunFailed
from dlinknet.models.linknet import LinkNet
from dlinknet.models.precision import set_precision
from dlinknet.training.failures import raise_told
from dlinknet.training.identity import DataIdentity
from dlinknet.training.losses import make_loss
from dlinknet.training.lowest import read_lowest
from dlinknet.training.optimizers import make_optimizer
from dlinknet.training.progress import Best, Position, State
from dlinknet.training.recipe import PLANNED, Recipe
from dlinknet.training.records import Kept, Records
from dlinknet.training.run import RunFiles
from dlinknet.training.schedules import make_schedule
from dlinknet.training.step import make_step


class Trainer:
    """Trains a network and keeps its files.

    Args:
        recipe: how.
        network: the network to train, N x 3 x H x W -> N x C x H x W logits.
        loader: the training set. Its classes decide the loss: Dice and cross-entropy of road, else
            cross-entropy.
        files: where checkpoints and figures go.
        identity: what tells the data set from another, kept for a resume.
        ranks: the processes that train together. Each has a trainer with a loader of its own part;
            rank 0 writes the files.
    """

    def __init__(
        self,
        recipe: Recipe,
        network: LinkNet,
        loader: TrainingLoader,
        files: RunFiles,
        identity: DataIdentity,
        ranks: Ranks = Ranks(),
    ):
        self.recipe, self.network, self.loader, self.files = recipe, network, loader, files
        self.identity, self.ranks = identity, ranks
        self.validate: Callable[[], dict[str, float]] | None = None
        self.shown: tuple[str, ...] = ()
        self.optimizer = make_optimizer(recipe, network.trainable_params())
        self.scaler = amp.DynamicLossScaler(
            recipe.init_loss_scale, recipe.scale_factor, recipe.scale_window
        )
        weights = None if recipe.class_weights is None else np.array(recipe.class_weights)
        self.step_function = make_step(
            set_precision(network, recipe.amp_level),
            make_loss(loader.classes, weights, ranks.size),
            self.optimizer,
            self.scaler,
            ranks.size,
        )
        self.schedule = make_schedule(recipe, len(loader))
        self.state = State()
        card = ModelCard.for_classes(
            recipe.model,
            loader.classes,
            padding=network.padding,
            decoder=network.decoder,
            preprocessing=loader.preprocessing,
            augment=loader.level,
        )
        self.records = Records(
            files,
            Kept(network, self.optimizer, self.scaler),
            {**card.to_dict(), "seed": recipe.seed},
            {"settings": recipe.fixed, "data": identity.to_dict()},
            ranks.first,
        )
        self.rate: float | None = None  # the learning rate that the optimizer was given last
        self.resumed_from = ""  # the checkpoint's file

    def validate_with(
        self, validate: Callable[[], dict[str, float]], shown: tuple[str, ...]
    ) -> None:
        """Validate after each epoch; the best epoch is then the one with the highest first figure.

        Args:
            validate: returns figures from 0 to 1 with the network's present weights. It may leave
                the network in inference mode.
            shown: the figures in the log and the curves.
        """
        self.validate, self.shown, self.records.shown = validate, shown, shown

    def check_ranks_agree(self) -> None:
        """Wait for all ranks, and check that they start from the same state.

        Rank 0 must write no checkpoint before, because other ranks may still be reading them.

        Raises:
            InputError: data, settings or checkpoints differ.
        """
        settings = {**self.recipe.fixed, "save_steps": self.recipe.save_steps}
        what = [
            self.identity.to_dict(),
            settings,
            self.recipe.epochs,
            self.loader.step_images,
            self.state.to_dict()["position"],
            self.state.step,
            self.schedule.state(),
            self.state.to_dict()["best"],
        ]
        unlike = self.ranks.unlike(json.dumps(what, sort_keys=True))
        if unlike:
            raise InputError(
                f"ranks {', '.join(map(str, unlike))}",
                "do not start as rank 0 does: data, settings and, in a resumed run, checkpoints must "
                "be the same on every machine; copy those of rank 0",
            )

    def run(self) -> None:
        """Trains to the last epoch, or until the plateau rule says stop.

        Raises:
            RunFailed: the loss is not finite, gradients overflow even with a loss scale of 1, or a file cannot be written.
        """
        if self.resumed_from:
            LOG.info(
                "resumed from %s: epoch %d, %d of its %d images are done",
                self.resumed_from,
                self.state.position.epoch,
                min(self.state.position.images, len(self.loader.pairs)),
                len(self.loader.pairs),
            )
        try:
            if self.state.rows:  # killed after a checkpoint was written and before the table was
                self.records.keep_table(self.state.rows)
            if self.state.ended or self.state.position.epoch > self.recipe.epochs:
                more = "" if self.recipe.schedule in PLANNED else "; with more epochs it goes on"
                LOG.info(
                    "nothing is left to train: %s",
                    f"the run ended early, {self.state.ended}"
                    if self.state.ended
                    else f"{len(self.state.rows)} epochs are done{more}",
                )
            else:
                self.ranks.equalise(self.network.get_parameters())
                self._run_epochs()
        except Exception as error:
            raise_told(error, self.loader, self.records.how_to_go_on())
            raise
        if self.state.best:
            LOG.info(
                "best: %s %.4f in epoch %d, %s",
                self.state.best.figure,
                self.state.best.value,
                self.state.best.epoch,
                self.files.best,
            )
        signals.say("the training was done")
        LOG.info("training is done")

    def _run_epochs(self) -> None:
        # Rank 0 decides what all of them do; the others may not even see its files.
        if self.ranks.total(
            np.array([self.ranks.first and not self.files.last.exists()], np.int64)
        )[0]:
            # A run that is killed early can be resumed too, and a full disk shows before hours of work.
            self.records.keep_last(self.state, self.schedule)
        else:
            self.records.note_saved(self.state)
        if self.loader.small:
            LOG.info(
                "%d images do not fill a crop of %d x %d (height x width): what is missing is mirrored",
                self.loader.small,
                self.loader.height,
                self.loader.width,
            )
        LOG.info("the first step compiles the network and takes longer")
        start, done_before = time.monotonic(), len(self.state.rows)
        for epoch in range(self.state.position.epoch, self.recipe.epochs + 1):
            row = self._train_epoch(epoch)
            self._average_statistics()
            if self.validate is not None:
                row.update(self.validate())
            decision = self.schedule.update(row["train_loss"])
            self._keep_best(epoch, row)
            if decision.improved:
                self.records.keep_weights(self.files.plateau, self.state, self.schedule)
            if decision.restore:
                if self.ranks.first:
                    load_network(read_lowest(self.files.plateau, self.schedule), self.network)
                self.ranks.equalise(self.network.get_parameters())
                self._set_rate(self.schedule.learning_rate)
            self.state.rows.append(row)
            self.state.position, self.state.ended = Position(epoch + 1), decision.stop
            self.records.keep_last(self.state, self.schedule)
            self.records.keep_table(self.state.rows)
            left = (
                (time.monotonic() - start)
                / (len(self.state.rows) - done_before)
                * (self.recipe.epochs - epoch)
            )
            LOG.info("%s%s", self._summary(row), f", {clock(left)} left" if left else "")
            if decision.restore:
                LOG.info("%s", self.schedule)
            if decision.stop:
                LOG.info("training ends early: %s", decision.stop)
                break

    def _train_epoch(self, epoch: int) -> dict[str, Any]:
        """What is left of one pass over the training set; returns the epoch's row of the table."""
        signals.take_back()  # drivers and their libraries may have come with handlers of their own
        self.network.set_train(True)
        here, batch = self.state.position, self.loader.step_images
        start, steps = time.monotonic() - here.seconds, self.loader.steps(here.images)
        with Progress(
            here.images + steps * batch, f"epoch {epoch}/{self.recipe.epochs}", here.images
        ) as progress:
            for images, masks in self.loader.epoch(epoch, here.images):
                self._set_rate(
                    self.schedule.advance((epoch - 1) * len(self.loader) + here.images // batch)
                )
                loss, finite = self.step_function(images, masks)
                loss = float(loss.asnumpy())
                self.state.step += 1
                if not math.isfinite(loss):
                    raise RunFailed(
                        f"the loss is {loss} in epoch {epoch}, step {self.state.step}; {self.records.what_is_left()}; "
                        "start anew with a lower --learning_rate"
                    )
                if bool(finite.asnumpy()):
                    self.state.overflows_at_one = 0
                else:
                    here.skipped += 1
                    self._report_overflow(epoch)
                here.images, here.loss_sum = here.images + batch, here.loss_sum + loss * batch
                here.seconds = time.monotonic() - start
                progress.update(batch, f"loss {loss:.4f}")
                if self.recipe.save_steps and self.state.step % self.recipe.save_steps == 0:
                    self._average_statistics()
                    self.records.keep_last(self.state, self.schedule)
        return {
            "epoch": epoch,
            "train_loss": here.loss_sum / here.images,
            "learning_rate": self.schedule.learning_rate,
            "loss_scale": self.records.loss_scale,
            "skipped_steps": here.skipped,
            "seconds": round(here.seconds, 1),
            "images_per_second": round(here.images / here.seconds, 2),
        }

    def _set_rate(self, rate: float) -> None:
        """Gives the optimizer a learning rate, where it has another one."""
        if rate != self.rate:
            set_value(self.optimizer.learning_rate, rate)
            self.rate = rate

    def _average_statistics(self) -> None:
        """Gives all processes the mean of their BatchNorm statistics; each normalises a step with those of its own part."""
        # Averaging commutes with the moving average, so how often it is done changes nothing but rounding.
        self.ranks.average(p for p in self.network.get_parameters() if not p.requires_grad)

    def _report_overflow(self, epoch: int) -> None:
        scale = self.records.loss_scale
        LOG.info(
            "epoch %d, step %d: gradients overflowed, update skipped, loss scale now %g",
            epoch,
            self.state.step,
            scale,
        )
        self.state.overflows_at_one += scale <= 1
        if self.state.overflows_at_one > 1:
            raise RunFailed(
                f"gradients are not finite in epoch {epoch}, step {self.state.step}, even with a loss scale of 1; "
                f"{self.records.what_is_left()}; start anew with a lower --learning_rate"
            )

    def _keep_best(self, epoch: int, row: dict[str, Any]) -> None:
        """Saves the weights where they are the best so far: by road or mean IoU, or by training loss without validation."""
        figure = self.shown[0] if self.shown else "train_loss"
        value, sign = row[figure], -1 if figure == "train_loss" else 1
        # Of equals the later one is kept. NaN (no road in truth and prediction) is never better than a number.
        if (
            not self.state.best
            or value * sign >= self.state.best.value * sign
            or math.isnan(self.state.best.value)
        ):
            self.state.best = Best(figure, value, epoch)
            self.records.keep_weights(self.files.best, self.state, self.schedule)

    def _summary(self, row: dict[str, Any]) -> str:
        figures = "".join(f", {name} {row[name]:.4f}" for name in self.shown)
        best = self.state.best
        mark = " (best)" if best and best.epoch == row["epoch"] else ""
        return (
            f"epoch {row['epoch']}/{self.recipe.epochs}: loss {row['train_loss']:.4f}{figures}{mark}, "
            f"lr {row['learning_rate']:.3g}, {row['images_per_second']:.1f} images/s"
        )
