"""The recipe of a training: model, optimizer, schedule and loss scaling. Pure Python."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

# Schedules whose learning rates depend on the number of epochs, which a resumed run must keep.
PLANNED = ("cosine", "one_cycle")


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    model: the network's name. epochs: the largest number of epochs. learning_rate: the first one;
    the highest one of 'one_cycle'. optimizer: 'adam', 'adamw', 'rmsprop' or 'sgd'; only 'sgd' uses
    momentum. weight_decay: see optimizers.make_optimizer. schedule: 'plateau', 'step', 'cosine',
    'one_cycle' or 'constant'. schedule_epochs, schedule_factor: 'step' multiplies the learning rate
    by schedule_factor every schedule_epochs epochs. amp_level: the layers that compute in float16
    (models/precision.py).

    init_loss_scale, scale_factor, scale_window: an overflow divides the loss scale by scale_factor,
    and scale_window steps without an overflow multiply it by scale_factor. save_steps: write a
    checkpoint after this number of steps, in addition to the end of an epoch; 0 for never.
    class_weights: weights of the classes in the cross-entropy; None for 1 each. seed: the random
    seed. fixed: the settings that a resumed run must not change, as a checkpoint's text holds them
    (name -> text, number or bool).
    """

    model: str
    epochs: int
    learning_rate: float = 2e-4
    optimizer: str = "adam"
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: str = "plateau"
    schedule_epochs: int = 30
    schedule_factor: float = 0.1
    amp_level: str = "O0"
    init_loss_scale: float = 2.0**24
    scale_factor: int = 2
    scale_window: int = 1000
    save_steps: int = 0
    class_weights: tuple[float, ...] | None = None
    seed: int = 1
    fixed: dict[str, Any] = field(default_factory=dict)

    def saves_after(self, step: int) -> bool:
        """Return whether a checkpoint is due after this step, counted from 1, inside an epoch."""
        return self.save_steps > 0 and step % self.save_steps == 0
