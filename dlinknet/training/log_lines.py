"""The lines of a training's log about its course, each as a text. Pure Python."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlinknet.console import clock
from dlinknet.training.progress import Best, Position, State

if TYPE_CHECKING:
    from dlinknet.data.loader import TrainingLoader


def resumed_line(file: str, position: Position, images: int) -> str:
    """Return the line of a training that was resumed.

    Args:
        file: the checkpoint.
        position: the position of the next step.
        images: the number of images per epoch.
    """
    done = min(position.images, images)
    return f"resumed from {file}: epoch {position.epoch}, {done} of its {images} images are done"


def mirrored_line(loader: TrainingLoader) -> str:
    """Return the line about the images that are smaller than a crop."""
    return (
        f"{loader.small} images do not fill a crop of {loader.height} x {loader.width} "
        "(height x width): they are mirrored"
    )


def nothing_left_line(state: State, planned: bool) -> str:
    """Return the line of a run that has ended already.

    Args:
        state: the state of the run.
        planned: True if the run's schedule fixes the number of epochs.
    """
    if state.ended:
        reason = f"the run ended early, {state.ended}"
    else:
        more = "" if planned else "; with more epochs it goes on"
        reason = f"{len(state.rows)} epochs are done{more}"
    return f"nothing is left to train: {reason}"


def epoch_line(
    row: dict[str, Any], epochs: int, shown: tuple[str, ...], best: Best | None, left: float
) -> str:
    """Return the line about a finished epoch.

    Args:
        row: the epoch's row of the table.
        epochs: the number of epochs of the whole training.
        shown: the validation figures in the line.
        best: the best epoch so far, which is marked.
        left: estimated seconds to the end of the training; 0 after the last epoch.
    """
    figures = "".join(f", {name} {row[name]:.4f}" for name in shown)
    mark = " (best)" if best and best.epoch == row["epoch"] else ""
    return (
        f"epoch {row['epoch']}/{epochs}: loss {row['train_loss']:.4f}{figures}{mark}, "
        f"lr {row['learning_rate']:.3g}, {row['images_per_second']:.1f} images/s"
        + (f", {clock(left)} left" if left else "")
    )


def best_line(best: Best, file: Path) -> str:
    """Return the last line about the best epoch, whose checkpoint is `file`."""
    return f"best: {best.figure} {best.value:.4f} in epoch {best.epoch}, {file}"
