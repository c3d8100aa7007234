"""What a run leaves behind: its files, and checkpoints that are whole or not there.

A checkpoint is a MindSpore .ckpt: the network's tensors under their own names, so that load_checkpoint and
load_param_into_net take it, and one uint8 tensor `dlinknet_meta` with a JSON text:

    model, classes, preprocessing    what to build and what to feed it
    epoch, step, best, seed          where the training stood
    learning_rate, loss_scale        as floats
    plateau                          the plateau rule's state

LOG_NAME_last.ckpt also holds Adam's moments and the loss scaler's state, all that a resume needs; _best and _plateau hold
the network only and are a third of its size.
"""
from __future__ import annotations

import glob
import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, Iterator

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor

from dlinknet.config import Config
from dlinknet.console import LOG, log_to_file
from dlinknet.data.pairs import Pair
from dlinknet.files import locked, replacing, write_text
from dlinknet.models.weights import FORMAT, META, quiet

ENDINGS = ("best.ckpt", "last.ckpt", "plateau.ckpt", "epochs.csv", "curves.png", "config.yaml", "split.json", "train.log")


def save(path: Path, parameters: Iterable[Parameter], meta: dict[str, Any]) -> None:
    """Writes a checkpoint under a temporary name and renames it.

    Raises:
        OSError: it cannot be written (the disk is full); an older one is as it was.
    """
    text = json.dumps({"format": FORMAT, **meta}).encode()
    tensors = [{"name": p.name, "data": p} for p in parameters]
    tensors.append({"name": META, "data": Tensor(np.frombuffer(text, np.uint8).copy())})
    with replacing(path) as temporary:
        try:
            with quiet():
                ms.save_checkpoint(tensors, str(temporary))
        except Exception as error:  # noqa: BLE001  (a full disk reaches us as several kinds)
            temporary.with_suffix(".tmp").unlink(missing_ok=True)       # what MindSpore itself leaves
            raise OSError(getattr(error, "errno", None), getattr(error, "strerror", None) or str(error), str(path)) from None
        # MindSpore writes read-only files, which users then cannot replace.
        temporary.chmod(0o644)


@dataclass(frozen=True)
class RunFiles:
    """The files of one run in `folder`, all named after `log_name`."""

    folder: Path
    log_name: str

    def path(self, ending: str) -> Path:
        """LOG_NAME_ending, for instance weight01_dink34_best.ckpt; `ending` is one of ENDINGS."""
        return self.folder / f"{self.log_name}_{ending}"

    @property
    def best(self) -> Path:
        return self.path("best.ckpt")

    @property
    def last(self) -> Path:
        return self.path("last.ckpt")

    @property
    def plateau(self) -> Path:
        return self.path("plateau.ckpt")

    @contextmanager
    def held(self, settings: Config, training: list[Pair], validation: list[Pair]) -> Iterator[None]:
        """Keeps these files for one run while the block lasts.

        Moves an earlier run's aside, then writes the resolved settings and the IDs of the split; the log follows.

        Raises:
            UserError: another process trains under this name in this folder.
        """
        with locked(self.folder / f".{self.log_name}.lock", "output_path"):
            for ending in ENDINGS:      # what a killed run left half written
                for unfinished in self.folder.glob(glob.escape(f".{self.path(ending).stem}.") + "[0-9]*"):
                    unfinished.unlink()
            aside = self._move_earlier_aside()
            log_to_file(self.path("train.log"))
            if aside:
                LOG.info("an earlier run of this name was moved to %s", aside)
            write_text(self.path("config.yaml"), settings.as_yaml())
            split = {"train": [pair.id for pair in training], "valid": [pair.id for pair in validation]}
            write_text(self.path("split.json"), json.dumps(split, indent=1))
            yield

    def _move_earlier_aside(self) -> Path | None:
        """The new folder of their own that holds them now; None where there were none."""
        earlier = [self.path(ending) for ending in ENDINGS if self.path(ending).exists()]
        if not earlier:
            return None
        aside = self.path(f"before_{time.strftime('%Y%m%d-%H%M%S')}")
        aside.mkdir()
        for path in earlier:
            path.rename(aside / path.name)
        return aside
