"""The files that say how far a training has come: checkpoints, the table of the epochs, the curves."""

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


class Kept(NamedTuple):
    """The parts of a training whose tensors a checkpoint keeps."""

    network: nn.Cell
    optimizer: nn.Optimizer
    scaler: amp.DynamicLossScaler


class Records:
    """Writes what a training leaves.

    Args:
        files: where.
        kept: whose tensors are kept.
        about: what every checkpoint says of network and images (checkpoints/save.py lists it), and
            the seed.
        fixed: what a resumed run must not change: settings, data.
        writes: False in a process that leaves the writing to another one.

    `shown` are the validation figures in the curves.
    """

    def __init__(
        self,
        files: RunFiles,
        kept: Kept,
        about: dict[str, Any],
        fixed: dict[str, Any],
        writes: bool,
    ):
        self.files, self.about, self.fixed, self.writes = files, about, fixed, writes
        self.network, self.optimizer, self.scaler = kept
        self.shown: tuple[str, ...] = ()
        self.saved = ""  # what `last` holds, in words

    @property
    def loss_scale(self) -> float:
        """What losses are multiplied by now, against underflow in float16."""
        return float(self.scaler.scale_value.asnumpy())

    def beside_network(self) -> list[Parameter]:
        """What a resume needs beside the network's own tensors; the optimizer lists these among its own."""
        return [*self.optimizer.get_parameters(), self.scaler.scale_value, self.scaler.counter]

    def keep_weights(self, file: Path, state: State, schedule: Schedule) -> None:
        """The network alone, without what a resume needs."""
        if self.writes:
            save(file, self.network.get_parameters(), self._meta(state, schedule))

    def keep_last(self, state: State, schedule: Schedule) -> None:
        """All that a resume needs; the `last` that was there becomes `previous`."""
        if self.writes:
            parameters = {
                p.name: p for p in [*self.network.get_parameters(), *self.beside_network()]
            }
            save(
                self.files.last,
                parameters.values(),
                {**self._meta(state, schedule), **state.to_dict(), **self.fixed},
                self.files.previous,
            )
        self.note_saved(state)

    def note_saved(self, state: State) -> None:
        """Notes what `last` holds, for the line of a training that fails or that a signal ends."""
        self.saved = str(state)
        signals.say(self.how_to_go_on() if self.writes else "rank 0 writes the checkpoints")

    def keep_table(self, rows: list[dict[str, Any]]) -> None:
        """The table of the epochs and its picture."""
        if self.writes:
            write_csv(rows, self.files.path("epochs.csv"))
            draw_curves(rows, self.shown, self.files.path("curves.png"))

    def what_is_left(self) -> str:
        """For the line of a training that fails."""
        return (
            f"{self.files.last} is whole ({self.saved})"
            if self.saved
            else "no checkpoint was written yet"
        )

    def how_to_go_on(self) -> str:
        """For the line of a training that ends early and can go on."""
        return (
            f"{self.what_is_left()}; --resume goes on from it"
            if self.saved
            else self.what_is_left()
        )

    def _meta(self, state: State, schedule: Schedule) -> dict[str, Any]:
        return {
            **self.about,
            "epoch": state.epoch,
            "step": state.step,
            "best": state.to_dict()["best"],
            "learning_rate": schedule.learning_rate,
            "loss_scale": self.loss_scale,
            "plateau": schedule.state(),
        }
