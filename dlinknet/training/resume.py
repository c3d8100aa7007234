"""Have a training go on from where a LOG_NAME_last.ckpt stands."""

from __future__ import annotations

from dlinknet import signals
from dlinknet.checkpoints.load import load_network, load_state
from dlinknet.checkpoints.read import read_checkpoint
from dlinknet.console import LOG
from dlinknet.errors import InputError, UserError
from dlinknet.training.loop import Trainer
from dlinknet.training.run import RunFiles
from dlinknet.training.schedules import PlateauRule
from dlinknet.training.stopped import Stopped


def resume(trainer: Trainer, stopped: Stopped, source: RunFiles) -> None:
    """Set a trainer to where a LOG_NAME_last.ckpt stands. Nothing is written.

    Args:
        source: that run's files. If an epoch has ended under the plateau rule, its plateau
            checkpoint must be among them.

    Raises:
        InputError: a file is not what it should be. The trainer is of no use then.
    """
    state, schedule = stopped.saved.state, stopped.saved.schedule
    _refuse_unlike(trainer, stopped)
    if state.rows and isinstance(trainer.schedule, PlateauRule):
        try:
            read_checkpoint(str(source.plateau))
        except InputError as error:
            raise InputError(
                error.subject,
                f"{error.reason}; the training may have to go back to its weights: put the run's own "
                "file there",
                error.before,
            ) from None
    load_network(stopped.checkpoint, trainer.network)
    load_state(stopped.checkpoint, trainer.records.beside_network())
    if isinstance(schedule, PlateauRule):  # a timetable's rates follow from the recipe
        trainer.schedule = schedule
    trainer.state = state
    trainer.resumed_from = str(stopped.file)
    signals.say(f"{stopped.file} is whole ({state}); --resume goes on from it")
    if state.best:
        try:
            read_checkpoint(str(source.best))
        except UserError as error:
            LOG.info("%s; the best of the epochs still to come is kept", error)
            state.best = None


def _refuse_unlike(trainer: Trainer, stopped: Stopped) -> None:
    """Check that a checkpoint's text fits the trainer's schedule, data and validation.

    Raises:
        InputError: it does not.
    """
    state, most = stopped.saved.state, len(trainer.loader) * trainer.loader.step_images
    figures = state.rows[0].keys() if state.rows else trainer.shown
    plateau = isinstance(stopped.saved.schedule, PlateauRule)
    if plateau != isinstance(trainer.schedule, PlateauRule):
        what = "plateau is of another schedule"
    elif state.position.images > most:
        what = f"position.images is {state.position.images}, and an epoch has {most}"
    elif not set(trainer.shown) <= set(figures):
        what = f"rows have no {sorted(set(trainer.shown) - set(figures))[0]}"
    else:
        return
    raise InputError(stopped.file, f"does not say where its training stood ({what})")
