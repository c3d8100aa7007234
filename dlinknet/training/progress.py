"""How far a training has come: typed values, and the text of a LOG_NAME_last.ckpt. Pure Python."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Optional

from dlinknet.files.fields import BadFields, Fields
from dlinknet.training.identity import DataIdentity
from dlinknet.training.schedules import Schedule, schedule_from_dict


@dataclass
class Position:
    """Where the next step stands, and the sums of its epoch so far."""

    epoch: int = 1
    images: int = 0  # of this epoch that are done, in all processes
    loss_sum: float = 0.0  # each step's loss times its images
    skipped: int = 0  # how many steps overflowed
    seconds: float = 0.0  # that they took

    @classmethod
    def from_fields(cls, fields: Fields) -> Position:
        """Return the position that a checkpoint's text holds; BadFields if it is not one."""
        return cls(
            fields.whole("epoch", least=1),
            fields.whole("images"),
            fields.number("loss_sum"),
            fields.whole("skipped"),
            fields.number("seconds", least=0),
        )


@dataclass(frozen=True)
class Best:
    """The best checkpoint so far: which figure says so, its value (NaN: 0 / 0), and its epoch."""

    figure: str
    value: float
    epoch: int


@dataclass
class State:
    """What a training has come to, beside its tensors and its schedule."""

    position: Position = field(default_factory=Position)
    step: int = 0  # steps taken since the start
    best: Optional[Best] = None
    rows: list[dict[str, Any]] = field(
        default_factory=list
    )  # the table: one an epoch, all with the same names
    ended: str = ""  # why the plateau rule ended the training
    overflows_at_one: int = 0  # in a row, with a loss scale that cannot fall further

    @classmethod
    def from_fields(cls, fields: Fields) -> State:
        """Return the state that a checkpoint's text holds; BadFields if it is not one."""
        position = Position.from_fields(fields.inner("position"))
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
        """Return the state as JSON holds it."""
        return {**asdict(self), "best": asdict(self.best) if self.best else {}}

    @property
    def epoch(self) -> int:
        """The epoch of the weights: between epochs the position is the next one's already."""
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
    """What the text of a LOG_NAME_last.ckpt says of its run, beside the model card.

    training/checkpoint.py lists the keys. settings: those that a resumed run must not change
    (run.fixed_settings); texts, numbers, true and false.
    """

    state: State
    schedule: Schedule
    settings: dict[str, Any]
    data: DataIdentity

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> SavedRun:
        """Return what a checkpoint's text says.

        Raises:
            BadFields: a key is missing, or its value is of another type or out of range.
        """
        fields = Fields(values)
        state = State.from_fields(fields)
        fields.whole("epoch")
        fields.whole("seed")
        fields.number("learning_rate", least=0)
        fields.number("loss_scale", above=0)
        settings = fields.inner("settings")
        for name in settings.names():
            if not isinstance(settings.value(name), (str, int, float)):
                raise settings.wrong(f"says of {name} what is neither a text nor a number")
        return cls(
            state,
            schedule_from_dict(values.get("plateau")),
            dict(values["settings"]),
            DataIdentity.from_fields(fields.inner("data")),
        )
