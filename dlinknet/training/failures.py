"""How a training that cannot go on ends: one line that says what is kept."""

from __future__ import annotations

from dlinknet.data.loader import TrainingLoader
from dlinknet.errors import RunFailed, UserError, is_out_of_memory


def raise_told(error: Exception, loader: TrainingLoader, kept: str) -> None:
    """Raise RunFailed for what the user can do something about: too little memory, a full disk.

    Args:
        error: what ended the training.
        kept: what is kept of it, as the end of the line.
    """
    if isinstance(error, (UserError, RunFailed)):
        return
    if is_out_of_memory(error):
        # A resumed run keeps its batch and train size.
        raise RunFailed(
            f"out of memory with a step of {loader.batch_size} x {loader.height} x {loader.width} "
            "(batch x height x width): lower --batch_size or --train_size, for its validation "
            f"--tile_size, in a new run; {kept}"
        ) from None
    if isinstance(error, OSError):
        raise RunFailed(
            f"cannot write {error.filename or 'a file'}: {error.strerror or error}; {kept}"
        ) from None
