"""The folders of a job on this machine.

They lie below cache_path and stand for an input or the output, also if it lies elsewhere:

    data                data_url
    checkpoint_path     checkpoint_url
    train               train_url
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DATA, CHECKPOINT, TRAIN = "data", "checkpoint_path", "train"


@dataclass(frozen=True)
class JobPlaces:
    """The folders of a job.

    cache: the folder that holds them.
    default_cache: its usual place. Paths below it mean the same.
    out: the folder of the outputs.
    """

    cache: Path
    default_cache: Path
    out: Path

    def below(self, value: str, folder: str) -> Path | None:
        """Return a path relative to one of the job's folders; None if it is not in that folder."""
        for cache in (self.cache, self.default_cache):
            try:
                return Path(value).relative_to(cache / folder)
            except ValueError:
                continue
        return None

    def of_output(self, value: str, is_file: bool) -> Path:
        """Return where an output goes.

        A relative path, or one below 'train', stands for a place at train_url. Any other path
        stands for train_url itself.
        """
        path, below = Path(value), self.below(value, TRAIN)
        if below is None and not path.is_absolute():
            below = path
        if below is None or ".." in below.parts:
            below = Path(path.name) if is_file else Path()
        return self.out / below
