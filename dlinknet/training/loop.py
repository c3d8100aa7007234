"""The training loop: steps, epochs, validation, the schedule's decisions, checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any, Callable

import numpy as np
from mindspore import Tensor, amp

from dlinknet import signals
from dlinknet.checkpoints.load import load_network, set_value
from dlinknet.checkpoints.model_card import ModelCard
from dlinknet.console import LOG, Progress
from dlinknet.data.loader import TrainingLoader
from dlinknet.devices.environment import DONE
from dlinknet.devices.ranks import Ranks
from dlinknet.errors import RunFailed
from dlinknet.models.linknet import LinkNet
from dlinknet.models.precision import set_precision
from dlinknet.training.agreement import average_statistics, check_equal_start, tell_all
from dlinknet.training.failures import raise_run_failed
from dlinknet.training.identity import DataIdentity
from dlinknet.training.log_lines import (
    best_line,
    epoch_line,
    mirrored_line,
    nothing_left_line,
    resumed_line,
)
from dlinknet.training.losses import make_loss
from dlinknet.training.optimizers import make_optimizer
from dlinknet.training.plateau import read_plateau
from dlinknet.training.progress import Best, Position, State
from dlinknet.training.recipe import PLANNED, Recipe
from dlinknet.training.records import Records, SavedParts
from dlinknet.training.run import RunFiles
from dlinknet.training.schedules import Decision, make_schedule
from dlinknet.training.step import forget_overflow, make_step, one_behind


class Trainer:
    """A network in training, and the files of its run.

    Args:
        recipe: how the network is trained.
        network: the network, images N x 3 x H x W -> logits N x C x H x W.
        loader: the training set. Its classes decide the loss (losses.make_loss).
        files: the paths of checkpoints and tables.
        identity: the identity of the data set, which checkpoints hold for a resume.
        ranks: the processes that train together. Each has a trainer, with a loader of its own part;
            rank 0 writes the files.

    Attributes:
        state, schedule: how far the training has come; a resume replaces them.
        resumed_from: the checkpoint of a resumed training, else ''.
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
            make_loss(loader.classes.outputs, weights, ranks.size),
            self.optimizer,
            self.scaler,
            ranks.size,
            pixels=loader.preprocessing if loader.pixels else None,
        )
        self.schedule = make_schedule(recipe, len(loader))
        self.state = State()
        self.records = self._make_records()
        self._rate: float | None = None  # the optimizer's learning rate, once a step has set it
        self.resumed_from = ""

    def _make_records(self) -> Records:
        card = ModelCard.for_classes(
            self.recipe.model,
            self.loader.classes,
            padding=self.network.padding,
            decoder=self.network.decoder,
            preprocessing=self.loader.preprocessing,
            augment=self.loader.level,
        )
        return Records(
            self.files,
            SavedParts(self.network, self.optimizer, self.scaler),
            {**card.to_dict(), "seed": self.recipe.seed},
            {"settings": self.recipe.fixed, "data": self.identity.to_dict()},
            self.ranks.first,
        )

    def validate_with(
        self, validate: Callable[[], dict[str, float]], shown: tuple[str, ...]
    ) -> None:
        """Validate after each epoch. The first figure then decides which epoch is the best.

        Args:
            validate: returns figures from 0 to 1 for the network's present weights. It may leave
                the network in inference mode.
            shown: the figures in the log and the curves.
        """
        self.validate, self.shown, self.records.shown = validate, shown, shown

    def check_ranks_agree(self) -> None:
        """Wait for all ranks, and check that they start from the same state.

        Before this check, rank 0 must not write checkpoints, because other ranks may still read
        them.

        Raises:
            InputError: data, settings or checkpoints differ.
        """
        state = self.state.to_dict()
        start = [
            self.identity.to_dict(),
            {**self.recipe.fixed, "save_steps": self.recipe.save_steps},
            self.recipe.epochs,
            self.loader.step_images,
            state["position"],
            state["step"],
            self.schedule.to_dict(),
            state["best"],
        ]
        check_equal_start(self.ranks, start)

    def run(self) -> None:
        """Train to the last epoch, or until the plateau rule ends the training.

        Raises:
            RunFailed: the loss is not finite, gradients overflow even with a loss scale of 1, a
                file cannot be written, or there is too little memory.
            UserError: an image, a mask or the plateau checkpoint can no longer be used.
        """
        if self.resumed_from:
            line = resumed_line(self.resumed_from, self.state.position, len(self.loader.pairs))
            LOG.info("%s", line)
        try:
            if self.state.rows:  # a process may be killed after the checkpoint, before the table
                self.records.write_table(self.state.rows)
            if self.state.ended or self.state.position.epoch > self.recipe.epochs:
                LOG.info("%s", nothing_left_line(self.state, self.recipe.schedule in PLANNED))
            else:
                self.ranks.broadcast(self.network.get_parameters())
                self._run_epochs()
        except Exception as error:
            raise_run_failed(error, self.loader, self.records.resume_hint())
            raise
        if self.state.best:
            LOG.info("%s", best_line(self.state.best, self.files.best))
        signals.say("the training was done")
        LOG.info(DONE)

    def _run_epochs(self) -> None:
        self._save_start()
        if self.loader.small:
            LOG.info("%s", mirrored_line(self.loader))
        LOG.info("the first step compiles the network and takes longer")
        start, done_before = time.monotonic(), len(self.state.rows)
        for epoch in range(self.state.position.epoch, self.recipe.epochs + 1):
            row = self._train_epoch(epoch)
            decision = self._finish_epoch(row)
            seconds = (time.monotonic() - start) / (len(self.state.rows) - done_before)
            left = seconds * (self.recipe.epochs - epoch)
            line = epoch_line(row, self.recipe.epochs, self.shown, self.state.best, left)
            LOG.info("%s", line)
            if decision.restore:
                LOG.info("%s", str(self.schedule))  # a text, because the schedule changes later
            if decision.stop:
                LOG.info("training ends early: %s", decision.stop)
                break

    def _save_start(self) -> None:
        """Write the first checkpoint of a new run.

        A run that is killed early can then be resumed, and a full disk shows before hours of work.
        """
        # Rank 0 decides for all ranks, because the others may not see its files.
        if tell_all(self.ranks, self.ranks.first and not self.files.last.exists()):
            self.records.save_last(self.state, self.schedule)
        else:
            self.records.note_saved(self.state)

    def _finish_epoch(self, row: dict[str, Any]) -> Decision:
        """Validate, follow the schedule's decision, and write the checkpoints and the table."""
        average_statistics(self.ranks, self.network)
        if self.validate is not None:
            row.update(self.validate())
        decision = self.schedule.update(row["train_loss"])
        self._save_best(row)
        if decision.improved:
            self.records.save_weights(self.files.plateau, self.state, self.schedule)
        if decision.restore:
            self._restore_lowest()
        self.state.rows.append(row)
        self.state.position, self.state.ended = Position(row["epoch"] + 1), decision.stop
        self.records.save_last(self.state, self.schedule)
        self.records.write_table(self.state.rows)
        return decision

    def _restore_lowest(self) -> None:
        """Load the weights of the lowest loss in all ranks, and set the new learning rate."""
        if self.ranks.first:
            load_network(read_plateau(self.files.plateau, self.schedule), self.network)
        self.ranks.broadcast(self.network.get_parameters())
        self._set_rate(self.schedule.learning_rate)

    def _train_epoch(self, epoch: int) -> dict[str, Any]:
        """Take the remaining steps of an epoch, and return its row of the table."""
        signals.take_back()  # libraries of the device may have installed signal handlers
        forget_overflow()  # of the validation
        self.network.set_train(True)
        here, batch = self.state.position, self.loader.step_images
        start, saves = time.monotonic() - here.seconds, self.recipe.saves_after
        end = here.images + self.loader.steps(here.images) * batch
        with Progress(end, f"epoch {epoch}/{self.recipe.epochs}", here.images) as progress:
            for outcome in one_behind(self._steps(epoch), lambda: saves(self.state.step + 1)):
                loss = self._finish_step(outcome)
                here.images, here.loss_sum = here.images + batch, here.loss_sum + loss * batch
                here.seconds = time.monotonic() - start
                progress.update(batch, f"loss {loss:.4f}")
                if saves(self.state.step):
                    average_statistics(self.ranks, self.network)
                    self.records.save_last(self.state, self.schedule)
        # A resumed epoch may have no steps left, and its row has the rate of its last step too.
        last = epoch * len(self.loader) - 1
        return here.to_row(self.schedule.advance(last), self.records.loss_scale)

    def _steps(self, epoch: int) -> Iterator[Tensor]:
        """Take the remaining steps of an epoch. Yield their outcomes, without waiting for them."""
        start = self.state.position.images
        first = (epoch - 1) * len(self.loader) + start // self.loader.step_images
        for step, (images, masks) in enumerate(self.loader.epoch(epoch, start), first):
            self._set_rate(self.schedule.advance(step))
            yield self.step_function(images, masks)

    def _finish_step(self, outcome: Tensor) -> float:
        """Wait for the end of a step, count it, and return its loss.

        Args:
            outcome: the step's, as make_step explains it.

        Raises:
            RunFailed: the loss is not finite, or gradients overflow with a loss scale of 1.
        """
        loss, finite, scale = outcome.asnumpy().tolist()
        self.state.count_step(bool(finite), scale)
        if not math.isfinite(loss):
            raise RunFailed(f"the loss is {loss} in {self._here()}; {self._failure_hint()}")
        if not finite:
            skipped = "gradients overflowed, update skipped"
            LOG.info("%s: %s, loss scale now %g", self._here(), skipped, scale)
        # A loss scale of 1 cannot fall further. A single overflow may be an odd batch.
        if self.state.overflows_at_one > 1:
            raise RunFailed(
                f"gradients are not finite in {self._here()}, even with a loss scale of 1; "
                f"{self._failure_hint()}"
            )
        return loss

    def _here(self) -> str:
        return f"epoch {self.state.position.epoch}, step {self.state.step}"

    def _failure_hint(self) -> str:
        return f"{self.records.describe_last()}; start a new run with a lower learning rate"

    def _set_rate(self, rate: float) -> None:
        """Set the optimizer's learning rate, if it has another one."""
        if rate != self._rate:
            set_value(self.optimizer.learning_rate, rate)
            self._rate = rate

    def _save_best(self, row: dict[str, Any]) -> None:
        """Save the weights if they are the best so far.

        The first validation figure decides, or the training loss if there is no validation.
        """
        figure = self.shown[0] if self.shown else "train_loss"
        found = Best(figure, row[figure], row["epoch"])
        if not self.state.best or found.replaces(self.state.best):
            self.state.best = found
            self.records.save_weights(self.files.best, self.state, self.schedule)
