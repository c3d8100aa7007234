"""The end of a training that cannot continue: one line that names the remedy and the checkpoint."""

from __future__ import annotations

from dlinknet.data.loader import TrainingLoader
from dlinknet.errors import RunFailed, UserError, is_out_of_memory


def raise_run_failed(error: Exception, loader: TrainingLoader, kept: str) -> None:
    """Raise RunFailed if the user can remove the cause of an error: too little memory, a full disk.

    Args:
        error: the error that ended the training.
        loader: the training set; the line says the size of its steps.
        kept: the end of the line, which names the last checkpoint.
    """
    if isinstance(error, (UserError, RunFailed)):
        return
    if is_out_of_memory(error):
        # Smaller sizes need a new run, because a resumed one must keep them.
        raise RunFailed(
            f"out of memory with a step of {loader.batch_size} x {loader.height} x {loader.width} "
            "(batch x height x width): lower the batch size or the crop size, for its validation "
            f"the tile size, in a new run; {kept}"
        ) from None
    if isinstance(error, OSError):
        raise RunFailed(
            f"cannot write {error.filename or 'a file'}: {error.strerror or error}; {kept}"
        ) from None
