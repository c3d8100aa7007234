"""Schedules: the learning rate of each step, and the end of a training."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Union

from dlinknet.files.fields import BadFields, Fields
from dlinknet.training.recipe import Recipe


@dataclass(frozen=True)
class Decision:
    """The consequences of an epoch's training loss.

    improved: the loss is the lowest so far, so save the weights. restore: load the weights of the
    lowest loss. stop: why training ends; '' to continue.
    """

    improved: bool = False
    restore: bool = False
    stop: str = ""


@dataclass
class PlateauRule:
    """The rule of D-LinkNet's authors on the training loss.

    After three epochs in a row without a lower loss, every further one divides the learning rate by
    5 and restores the weights of the lowest loss. Training ends after more than six such epochs, or
    if the learning rate is below 5e-7 before it would be divided.

    epochs_without: the number of epochs in a row without a lower loss. A checkpoint's text holds
    the fields by these names.
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
        """Return the learning rate of a step, which is the same for all steps of an epoch."""
        return self.learning_rate

    def update(self, loss: float) -> Decision:
        """Return the consequences of an epoch's training loss, and set the next learning rate."""
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

    def to_dict(self) -> dict[str, Any]:
        """Return the state of the rule as a dict for JSON, with which a resumed run continues."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Any) -> PlateauRule:
        """Return the rule in the dict that `to_dict` made, a checkpoint's `plateau`.

        Raises:
            BadFields: a key is missing, or its value is of a wrong type or out of range.
        """
        fields = Fields(values, "plateau")
        lowest = fields.number("lowest_loss", finite=False)
        if math.isnan(lowest):
            raise fields.wrong("has the lowest_loss NaN")
        return cls(fields.number("learning_rate", above=0), lowest, fields.whole("epochs_without"))


@dataclass
class Timetable:
    """A learning rate that depends on the step only; training never ends early.

        step        highest * factor^k, k = (epochs done) // epochs (He et al., CVPR 2016)
        cosine      highest * (1 + cos(pi * step / steps)) / 2 (Loshchilov and Hutter, ICLR 2017)
        one_cycle   half a cosine from highest / 25 up to highest in the first 3/10 of the steps,
                    then one down to highest / 250000 (Smith and Topin 2018, with the constants of
                    PyTorch's OneCycleLR; momentum is not changed)
        constant    highest

    kind: one of these. highest: the highest learning rate. steps: the number of steps of the whole
    training. steps_an_epoch: the number of steps per epoch. epochs, factor: used by 'step'.
    learning_rate: the result of the last `advance`. A checkpoint's text holds the fields by these
    names.
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
        """Return the learning rate of a step, 0 to steps - 1; later steps have the last one's."""
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
        """Return no consequence: a timetable ignores the loss."""
        return Decision()

    def to_dict(self) -> dict[str, Any]:
        """Return the timetable as a dict for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Any) -> Timetable:
        """Return the timetable in the dict that `to_dict` made, a checkpoint's `plateau`.

        Raises:
            BadFields: a key is missing, or its value is of a wrong type or out of range.
        """
        fields = Fields(values, "plateau")
        fields.number("learning_rate", least=0)
        return cls(
            fields.text("kind"),
            highest=fields.number("highest", above=0),
            steps=fields.whole("steps", least=1),
            steps_an_epoch=fields.whole("steps_an_epoch", least=1),
            epochs=fields.whole("epochs", least=1),
            factor=fields.number("factor", above=0),
        )


Schedule = Union[PlateauRule, Timetable]


def schedule_from_dict(values: Any) -> Schedule:
    """Return the schedule in the dict that a checkpoint holds as `plateau`.

    Raises:
        BadFields: the dict is missing, or is neither a plateau rule nor a timetable.
    """
    if values is None:
        raise BadFields("plateau is missing")
    is_rule = "lowest_loss" in Fields(values, "plateau")
    return PlateauRule.from_dict(values) if is_rule else Timetable.from_dict(values)


def _half_cosine(start: float, end: float, share: float) -> float:
    """Return the value at `share`, 0 to 1, of the way from `start` to `end` along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def make_schedule(recipe: Recipe, steps_an_epoch: int) -> Schedule:
    """Return the recipe's schedule for a training that begins.

    Args:
        steps_an_epoch: the number of steps per epoch.
    """
    if recipe.schedule == "plateau":
        return PlateauRule(recipe.learning_rate)
    return Timetable(
        recipe.schedule,
        highest=recipe.learning_rate,
        steps=recipe.epochs * steps_an_epoch,
        steps_an_epoch=steps_an_epoch,
        epochs=recipe.schedule_epochs,
        factor=recipe.schedule_factor,
    )
