"""How far a training has come, and how LOG_NAME_last.ckpt holds that. Pure Python.

The dataclasses' fields are keys of the checkpoint's text: a renamed field would break old files.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from dlinknet.files.fields import BadFields, Fields
from dlinknet.training.identity import DataIdentity
from dlinknet.training.schedules import Schedule, schedule_from_dict


@dataclass
class Position:
    """The position of the next step, and the sums of its epoch so far.

    epoch: counted from 1. images: the number of images that the epoch's steps have used, in all
    processes; its last step may use some images again. loss_sum: the sum over steps of loss times
    images. skipped: the number of steps that overflowed. seconds: the duration of all these steps.
    """

    epoch: int = 1
    images: int = 0
    loss_sum: float = 0.0
    skipped: int = 0
    seconds: float = 0.0

    @classmethod
    def from_dict(cls, values: Any) -> Position:
        """Return the position in a checkpoint's `position`.

        Raises:
            BadFields: a key is missing, or its value is of a wrong type or out of range.
        """
        fields = Fields(values, "position")
        return cls(
            fields.whole("epoch", least=1),
            fields.whole("images"),
            fields.number("loss_sum"),
            fields.whole("skipped"),
            fields.number("seconds", least=0),
        )

    def to_row(self, learning_rate: float, loss_scale: float) -> dict[str, Any]:
        """Return the finished epoch's row of the table: its sums as means."""
        return {
            "epoch": self.epoch,
            "train_loss": self.loss_sum / self.images,
            "learning_rate": learning_rate,
            "loss_scale": loss_scale,
            "skipped_steps": self.skipped,
            "seconds": round(self.seconds, 1),
            "images_per_second": round(self.images / self.seconds, 2),
        }


@dataclass(frozen=True)
class Best:
    """The best epoch so far.

    figure: the name of the deciding figure. value: its value; NaN for 0 / 0. epoch: counted from 1.
    """

    figure: str
    value: float
    epoch: int

    def replaces(self, earlier: Best) -> bool:
        """Return whether this epoch is at least as good as the best earlier one.

        The training loss is best if low, every other figure if high. NaN is worse than any number.
        """
        sign = -1 if self.figure == "train_loss" else 1
        return self.value * sign >= earlier.value * sign or math.isnan(earlier.value)


@dataclass
class State:
    """The state of a training, without its tensors and its schedule.

    step: the number of steps since the start. rows: the table of the finished epochs, one dict per
    epoch, all with the same keys. ended: why the plateau rule ended the training; '' if it did not.
    overflows_at_one: the number of last steps that overflowed in a row with a loss scale of 1,
    which cannot fall further.
    """

    position: Position = field(default_factory=Position)
    step: int = 0
    best: Best | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    ended: str = ""
    overflows_at_one: int = 0

    @classmethod
    def from_dict(cls, values: Any) -> State:
        """Return the state in a checkpoint's text. Other keys are ignored.

        Raises:
            BadFields: a key is missing, its value is of a wrong type or out of range, or the rows
                do not fit the position.
        """
        fields = Fields(values)
        position = Position.from_dict(fields.value("position"))
        rows = [_row(row) for row in fields.inners("rows")]
        for number, row in enumerate(rows, 1):
            if row.keys() != rows[0].keys() or row["epoch"] != number:
                raise BadFields(f"rows {number} is not the row of epoch {number}")
        if position.epoch != len(rows) + 1:
            raise BadFields(f"position.epoch is {position.epoch} after {len(rows)} epochs")
        best = fields.inner("best")
        return cls(
            position,
            fields.whole("step"),
            _best(best) if list(best.names()) else None,
            rows,
            fields.text("ended"),
            fields.whole("overflows_at_one"),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the state as a dict for JSON; `best` is empty if there is none."""
        return {**asdict(self), "best": asdict(self.best) if self.best else {}}

    def count_step(self, finite: bool, loss_scale: float) -> None:
        """Count a step.

        Args:
            finite: False if its gradients overflowed.
            loss_scale: that of the next step.
        """
        self.step += 1
        if finite:
            self.overflows_at_one = 0
        else:
            self.position.skipped += 1
            self.overflows_at_one += loss_scale <= 1

    @property
    def epoch(self) -> int:
        """The epoch of the weights: the last one, unless steps of the next one are done."""
        return self.position.epoch if self.position.images else self.position.epoch - 1

    def __str__(self) -> str:
        return f"epoch {self.epoch}, step {self.step}"


def _row(fields: Fields) -> dict[str, Any]:
    fields.whole("epoch", least=1)
    for name in ("train_loss", "learning_rate"):
        fields.number(name)
    for name in fields.names():
        fields.number(name, finite=False)
    return {name: fields.value(name) for name in fields.names()}


def _best(fields: Fields) -> Best:
    return Best(
        fields.text("figure"), fields.number("value", finite=False), fields.whole("epoch", least=1)
    )


@dataclass(frozen=True)
class SavedRun:
    """A run as the text of LOG_NAME_last.ckpt holds it, without the model card.

    checkpoints/save.py lists the keys. settings: those that a resumed run must not change
    (commands/resuming.py); name -> text, number or bool.
    """

    state: State
    schedule: Schedule
    settings: dict[str, Any]
    data: DataIdentity

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> SavedRun:
        """Return the run in a checkpoint's text.

        Raises:
            BadFields: a key is missing, or its value is of a wrong type or out of range.
        """
        fields = Fields(values)
        state = State.from_dict(values)
        fields.whole("epoch")
        fields.whole("seed")
        fields.number("learning_rate", least=0)
        fields.number("loss_scale", above=0)
        settings = fields.inner("settings")
        for name in settings.names():
            if not isinstance(settings.value(name), (str, int, float)):
                raise BadFields(f"settings.{name} is neither a text nor a number")
        return cls(
            state,
            schedule_from_dict(values.get("plateau")),
            dict(values["settings"]),
            DataIdentity.from_dict(fields.value("data")),
        )
