"""When the learning rate falls and when training ends."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Union

from dlinknet.files.fields import BadFields, Fields
from dlinknet.training.recipe import Recipe


@dataclass(frozen=True)
class Decision:
    """What follows from an epoch's training loss."""

    improved: bool = False  # the lowest loss so far: keep these weights
    restore: bool = False  # go back to the weights of the lowest loss
    stop: str = ""  # why training ends; empty where it goes on


@dataclass
class PlateauRule:
    """D-LinkNet's rule on the training loss.

    Each epoch beyond 3 in a row without a lower loss divides the learning rate by 5 and goes back to the weights of the
    lowest loss. More than 6 end the training; so does an epoch beyond 3 that finds the learning rate below 5e-7.
    """

    learning_rate: float
    lowest_loss: float = float("inf")
    epochs_without: int = 0

    def __str__(self) -> str:
        return (
            f"no lower training loss in {self.epochs_without} epochs: back to the weights of loss "
            f"{self.lowest_loss:.4f}, learning rate {self.learning_rate:.3g}"
        )

    def advance(self, step: int) -> float:
        """The learning rate of a step, which is the epoch's."""
        return self.learning_rate

    def update(self, loss: float) -> Decision:
        """Takes the training loss of one epoch; sets `learning_rate` for the next."""
        if loss < self.lowest_loss:
            self.lowest_loss, self.epochs_without = loss, 0
            return Decision(improved=True)
        self.epochs_without += 1
        if self.epochs_without > 6:
            return Decision(stop=f"no lower training loss in {self.epochs_without} epochs")
        if self.epochs_without <= 3:
            return Decision()
        if self.learning_rate < 5e-7:
            return Decision(stop=f"the learning rate is {self.learning_rate:.3g}, below 5e-7")
        self.learning_rate /= 5
        return Decision(restore=True)

    def state(self) -> dict:
        """All that a later run needs to go on from here; from_fields reads it."""
        return asdict(self)

    @classmethod
    def from_fields(cls, fields: Fields) -> PlateauRule:
        """Return the rule whose state a checkpoint's text holds; BadFields if it is not one."""
        lowest = fields.number("lowest_loss", finite=False)
        if math.isnan(lowest):
            raise fields.wrong("has the lowest_loss NaN")
        return cls(fields.number("learning_rate", above=0), lowest, fields.whole("epochs_without"))


@dataclass
class Timetable:
    """A learning rate that is a function of the step alone; training never ends early.

        step        highest * factor^k from the start of epoch k * epochs + 1 on (He et al. 2016)
        cosine      highest * (1 + cos(pi * step / steps)) / 2 (Loshchilov and Hutter 2017)
        one_cycle   along half cosines from highest / 25 to highest in the first 3 tenths of the steps, then down to
                    highest / 250000 (Smith and Topin 2018, with the numbers of PyTorch's OneCycleLR; momentum stays as it is)
        constant    highest

    Args:
        kind: one of these. steps, steps_an_epoch: of the whole training.

    `learning_rate` is that of the last step that was asked for.
    """

    kind: str
    highest: float
    steps: int
    steps_an_epoch: int
    epochs: int = 1
    factor: float = 1.0
    learning_rate: float = 0.0

    def __post_init__(self) -> None:
        self.advance(0)

    def advance(self, step: int) -> float:
        """The learning rate of a step, 0 to steps - 1; a later one has the last one's."""
        step = min(step, self.steps - 1)
        if self.kind == "step":
            self.learning_rate = self.highest * self.factor ** (
                step // (self.epochs * self.steps_an_epoch)
            )
        elif self.kind == "cosine":
            self.learning_rate = self.highest * (1 + math.cos(math.pi * step / self.steps)) / 2
        elif self.kind == "one_cycle":
            top, end = 0.3 * self.steps - 1, self.steps - 1
            if step <= top:
                self.learning_rate = _half_cosine(self.highest / 25, self.highest, step / top)
            else:
                self.learning_rate = _half_cosine(
                    self.highest, self.highest / 25e4, (step - top) / (end - top)
                )
        else:
            self.learning_rate = self.highest
        return self.learning_rate

    def update(self, loss: float) -> Decision:
        """Nothing follows from an epoch's loss."""
        return Decision()

    def state(self) -> dict[str, Any]:
        """All that a run was planned with; from_fields reads it."""
        return asdict(self)

    @classmethod
    def from_fields(cls, fields: Fields) -> Timetable:
        """Return the timetable whose state a checkpoint's text holds; BadFields if it is not one."""
        fields.number("learning_rate", least=0)
        return cls(
            fields.text("kind"),
            fields.number("highest", above=0),
            fields.whole("steps", least=1),
            fields.whole("steps_an_epoch", least=1),
            fields.whole("epochs", least=1),
            fields.number("factor", above=0),
        )


Schedule = Union[PlateauRule, Timetable]


def schedule_from_dict(values: Any) -> Schedule:
    """Return the schedule whose state a checkpoint holds as `plateau`.

    Raises:
        BadFields: it is missing or not one.
    """
    if values is None:
        raise BadFields("plateau is missing")
    fields = Fields(values, "plateau")
    return (
        PlateauRule.from_fields(fields)
        if "lowest_loss" in fields
        else Timetable.from_fields(fields)
    )


def _half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def make_schedule(recipe: Recipe, steps_an_epoch: int) -> Schedule:
    """Return the recipe's schedule at its start."""
    if recipe.schedule == "plateau":
        return PlateauRule(recipe.learning_rate)
    return Timetable(
        recipe.schedule,
        recipe.learning_rate,
        recipe.epochs * steps_an_epoch,
        steps_an_epoch,
        recipe.schedule_epochs,
        recipe.schedule_factor,
    )
