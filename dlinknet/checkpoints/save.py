"""Write checkpoints: whole or not at all, with everything that a resumed run needs.

A checkpoint is a MindSpore .ckpt. It holds the network's tensors under their own names, so that
MindSpore's load_checkpoint and load_param_into_net read it, and one uint8 tensor `dlinknet_meta`
with a JSON text:

    format                           the version of this text, 1
    model, classes, padding, decoder, preprocessing, class_table, augment, ground_resolution
                                     the model card (model_card.py)
    epoch, step, best, seed          how far the training had come
    learning_rate, loss_scale        as floats
    plateau                          the schedule's state
    crc32                            checksum of all tensors and of this text, to detect damage

LOG_NAME_last.ckpt has everything that a resume needs. It also holds the states of the optimizer and
the loss scaler, and in its text:

    position                         epoch of the next step, its place in the epoch, and the sums
                                     of that epoch so far
    rows, ended                      the table of the epochs; why training ended early, or ''
    overflows_at_one                 how many of the last steps overflowed in a row with a loss
                                     scale of 1
    settings, data                   the settings and the data set, which a resumed run must not
                                     change (commands/resuming.py, training/identity.py)

LOG_NAME_best.ckpt and LOG_NAME_plateau.ckpt hold the network only: with Adam a third of the size.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor

from dlinknet.checkpoints.read import FORMAT, META, checksum
from dlinknet.console import quiet
from dlinknet.files.atomic import replacing


def save(
    path: Path, parameters: Iterable[Parameter], meta: dict[str, Any], previous: Path | None = None
) -> None:
    """Write a checkpoint under a temporary name, then rename it to `path`.

    Args:
        meta: the values of the text, as the table above lists them.
        previous: the new name of an older checkpoint at `path`; None to replace it.

    Raises:
        OSError: the checkpoint cannot be written, for instance because the disk is full. An older
            one is unchanged.
    """
    parameters = list(parameters)
    # The checksum is of the values that a reader will find: JSON turns tuples into lists.
    meta = json.loads(json.dumps({"format": FORMAT, **meta}))
    crc32 = checksum({p.name: p.asnumpy() for p in parameters}, meta)
    text = json.dumps({**meta, "crc32": crc32}).encode()
    tensors = [{"name": p.name, "data": p} for p in parameters]
    tensors.append({"name": META, "data": Tensor(np.frombuffer(text, np.uint8).copy())})
    with replacing(path, previous) as temporary:
        try:
            with quiet():
                ms.save_checkpoint(tensors, str(temporary))
        except Exception as error:  # noqa: BLE001  (a full disk shows as several kinds)
            temporary.with_suffix(".tmp").unlink(missing_ok=True)  # MindSpore's own temporary file
            raise OSError(
                getattr(error, "errno", None),
                getattr(error, "strerror", None) or str(error),
                str(path),
            ) from None
        # MindSpore writes read-only files, which users then cannot replace.
        temporary.chmod(0o644)
