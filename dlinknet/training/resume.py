"""Resume a training from a LOG_NAME_last.ckpt."""

from __future__ import annotations

from dlinknet import signals
from dlinknet.checkpoints.load import load_network, load_state
from dlinknet.checkpoints.read import read_checkpoint
from dlinknet.console import LOG
from dlinknet.errors import InputError, UserError
from dlinknet.training.loop import Trainer
from dlinknet.training.run import RunFiles
from dlinknet.training.schedules import PlateauRule
from dlinknet.training.stopped import StoppedRun

STEP_IMAGES = 1 << 20  # more images than all processes together use in one step


def resume(trainer: Trainer, stopped: StoppedRun, source: RunFiles) -> None:
    """Set a trainer to the state of a stopped run. Write nothing.

    Args:
        source: the files of the stopped run. They must include the plateau checkpoint if the
            schedule is the plateau rule and an epoch has ended.

    Raises:
        InputError: a file is missing or damaged, or does not fit the trainer. The trainer cannot be
            used then.
    """
    state, schedule = stopped.saved.state, stopped.saved.schedule
    _reject_misfit(trainer, stopped)
    if state.rows and isinstance(trainer.schedule, PlateauRule):
        try:
            read_checkpoint(str(source.plateau))
        except InputError as error:
            raise InputError(
                error.subject,
                f"{error.reason}; the training may have to return to its weights: put the run's "
                "own file there",
                error.before,
            ) from None
    load_network(stopped.checkpoint, trainer.network)
    load_state(stopped.checkpoint, trainer.records.optimizer_and_scaler())
    if isinstance(schedule, PlateauRule):  # the trainer makes a timetable from its recipe
        trainer.schedule = schedule
    trainer.state = state
    trainer.resumed_from = str(stopped.file)
    signals.say(f"{stopped.file} is whole ({state}); --resume goes on from it")
    if state.best:
        try:
            read_checkpoint(str(source.best))
        except UserError as error:
            LOG.info("%s; the best of the coming epochs is kept", error)
            state.best = None


def _reject_misfit(trainer: Trainer, stopped: StoppedRun) -> None:
    """Raise InputError if the run does not fit the trainer's schedule, data and validation."""
    state, images = stopped.saved.state, len(trainer.loader.pairs)
    figures = state.rows[0].keys() if state.rows else trainer.shown
    plateau = isinstance(stopped.saved.schedule, PlateauRule)
    if plateau != isinstance(trainer.schedule, PlateauRule):
        fault = "plateau is of another schedule"
    # The last step of an epoch is filled up, and its size was another one if the run had another
    # number of processes.
    elif state.position.images >= images + STEP_IMAGES:
        fault = f"position.images is {state.position.images}, and an epoch has {images}"
    elif not set(trainer.shown) <= set(figures):
        fault = f"rows have no {sorted(set(trainer.shown) - set(figures))[0]}"
    else:
        return
    raise InputError(stopped.file, f"does not say where its training stood ({fault})")
