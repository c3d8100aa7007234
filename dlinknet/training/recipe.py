"""How a network is trained. Pure Python."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

PLANNED = (
    "cosine",
    "one_cycle",
)  # schedules whose learning rates depend on how many epochs there will be


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    model: the network's name. epochs: how many at most. learning_rate: at the start, or the highest
    one of 'one_cycle'. optimizer: 'adam', 'adamw', 'rmsprop' or 'sgd', the last with `momentum`.
    schedule: 'plateau', 'step', 'cosine', 'one_cycle' or 'constant'; 'step' multiplies the rate by
    schedule_factor every schedule_epochs epochs. amp_level: what computes in float16 (precision.py).
    init_loss_scale, scale_factor, scale_window: an overflow divides the loss scale by scale_factor,
    scale_window steps without one multiply it. save_steps: a checkpoint every so many steps too; 0
    for the ends of epochs alone. class_weights: of the classes in the cross-entropy; None: all alike.
    seed: the run's. fixed: what a resumed run must not change, as a
    checkpoint keeps it: names with texts, numbers, true and false.
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
