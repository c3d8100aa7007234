"""When the learning rate falls and when training ends."""
from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Decision:
    """What follows from an epoch's training loss."""

    improved: bool = False      # the lowest loss so far: keep these weights
    restore: bool = False       # go back to the weights of the lowest loss
    stop: str = ""              # why training ends; empty where it goes on


@dataclass
class PlateauRule:
    """D-LinkNet's rule on the training loss.

    Each epoch beyond 3 in a row without a lower loss divides the learning rate by 5 and goes back to the weights of the
    lowest loss. More than 6 end the training; so does an epoch beyond 3 that finds the learning rate below 5e-7.
    """

    learning_rate: float
    lowest_loss: float = float("inf")
    epochs_without: int = 0

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
        """All that a later run needs to go on from here: PlateauRule(**state)."""
        return asdict(self)
