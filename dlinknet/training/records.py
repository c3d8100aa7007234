"""Write the files of a training: checkpoints, the table of the epochs, the curves."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from mindspore import Parameter, amp, nn

from dlinknet import signals
from dlinknet.checkpoints.save import save
from dlinknet.training.history import draw_curves, write_csv
from dlinknet.training.progress import State
from dlinknet.training.run import RunFiles
from dlinknet.training.schedules import Schedule


class SavedParts(NamedTuple):
    """The parts of a training whose tensors checkpoints hold."""

    network: nn.Cell
    optimizer: nn.Optimizer
    scaler: amp.DynamicLossScaler


class Records:
    """The writer of a training's files.

    Args:
        files: their paths.
        parts: the parts whose tensors checkpoints hold.
        about: the model card as a dict, and the random seed; every checkpoint's text has them.
        fixed: the facts that a resumed run must not change: settings and data.
        writes: False in ranks that leave the writing to rank 0.

    Attributes:
        shown: the validation figures in the curves.
    """

    def __init__(
        self,
        files: RunFiles,
        parts: SavedParts,
        about: dict[str, Any],
        fixed: dict[str, Any],
        writes: bool,
    ):
        self.files, self.about, self.fixed, self.writes = files, about, fixed, writes
        self.network, self.optimizer, self.scaler = parts
        self.shown: tuple[str, ...] = ()
        self._saved = ""  # epoch and step of `last`, as messages say them; '' before it is written

    @property
    def loss_scale(self) -> float:
        """The present factor of the loss, which prevents underflow in float16."""
        return float(self.scaler.scale_value.asnumpy())

    def optimizer_and_scaler(self) -> list[Parameter]:
        """Return the parameters of optimizer and loss scaler.

        A resume needs them and the network's parameters. The optimizer's own parameters include
        the trained ones of the network.
        """
        return [*self.optimizer.get_parameters(), self.scaler.scale_value, self.scaler.counter]

    def save_weights(self, file: Path, state: State, schedule: Schedule) -> None:
        """Write a checkpoint of the network only."""
        if self.writes:
            save(file, self.network.get_parameters(), self._meta(state, schedule))

    def save_last(self, state: State, schedule: Schedule) -> None:
        """Write `last`, with everything that a resume needs. The old `last` becomes `previous`."""
        if self.writes:
            parameters = {
                p.name: p for p in [*self.network.get_parameters(), *self.optimizer_and_scaler()]
            }
            save(
                self.files.last,
                parameters.values(),
                {**self._meta(state, schedule), **state.to_dict(), **self.fixed},
                self.files.previous,
            )
        self.note_saved(state)

    def note_saved(self, state: State) -> None:
        """Note that `last` holds `state`, for the last line of a training that ends early."""
        self._saved = str(state)
        signals.say(self.resume_hint() if self.writes else "rank 0 writes the checkpoints")

    def write_table(self, rows: list[dict[str, Any]]) -> None:
        """Write the table of the epochs and the picture of their curves."""
        if self.writes:
            write_csv(rows, self.files.path("epochs.csv"))
            draw_curves(rows, self.shown, self.files.path("curves.png"))

    def describe_last(self) -> str:
        """Return a text about the last checkpoint, for the last line of a training that fails."""
        if not self._saved:
            return "no checkpoint was written yet"
        return f"{self.files.last} is whole ({self._saved})"

    def resume_hint(self) -> str:
        """Return the same text with the way to resume, for a training that ends early."""
        return self.describe_last() + ("; --resume goes on from it" if self._saved else "")

    def _meta(self, state: State, schedule: Schedule) -> dict[str, Any]:
        """Return the values of a checkpoint's text; checkpoints/save.py lists them."""
        return {
            **self.about,
            "epoch": state.epoch,
            "step": state.step,
            "best": state.to_dict()["best"],
            "learning_rate": schedule.learning_rate,
            "loss_scale": self.loss_scale,
            "plateau": schedule.to_dict(),
        }
