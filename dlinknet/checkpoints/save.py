"""Checkpoints out: whole or not there, and all that a run needs to go on.

A checkpoint is a MindSpore .ckpt: the network's tensors under their own names, so that load_checkpoint and
load_param_into_net take it, and one uint8 tensor `dlinknet_meta` with a JSON text:

    model, classes, padding, decoder, preprocessing, class_table
                                     the model card (models/model_card.py)
    epoch, step, best, seed          where the training stood
    learning_rate, loss_scale        as floats
    plateau                          the schedule's state
    crc32                            of all tensors and of this text, so that a damaged file is told from a whole one

LOG_NAME_last.ckpt also holds the optimizer's moments and the loss scaler's state, and in its text

    position                         the next step's epoch and place in it, and the sums of that epoch so far
    rows, ended                      the table of the epochs; why training ended early, or an empty text
    overflows_at_one                 how many of the last steps in a row overflowed with a loss scale of 1
    settings, data                   what a resumed run must not change (training/run.py)

all that a resume needs; _best and _plateau hold the network only and are a third of its size.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Iterable

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor

from dlinknet.checkpoints.read import FORMAT, META, checksum
from dlinknet.console import quiet
from dlinknet.files.atomic import replacing


def save(
    path: Path, parameters: Iterable[Parameter], meta: dict[str, Any], previous: Path | None = None
) -> None:
    """Writes a checkpoint under a temporary name and renames it; the one that was there becomes `previous`.

    Raises:
        OSError: it cannot be written (the disk is full); an older one is as it was.
    """
    parameters = list(parameters)
    meta = json.loads(json.dumps({"format": FORMAT, **meta}))  # as a reader will find it
    crc32 = checksum({p.name: p.asnumpy() for p in parameters}, meta)
    text = json.dumps({**meta, "crc32": crc32}).encode()
    tensors = [{"name": p.name, "data": p} for p in parameters]
    tensors.append({"name": META, "data": Tensor(np.frombuffer(text, np.uint8).copy())})
    with replacing(path, previous) as temporary:
        try:
            with quiet():
                ms.save_checkpoint(tensors, str(temporary))
        except Exception as error:  # noqa: BLE001  (a full disk reaches us as several kinds)
            temporary.with_suffix(".tmp").unlink(missing_ok=True)  # what MindSpore itself leaves
            raise OSError(
                getattr(error, "errno", None),
                getattr(error, "strerror", None) or str(error),
                str(path),
            ) from None
        # MindSpore writes read-only files, which users then cannot replace.
        temporary.chmod(0o644)
