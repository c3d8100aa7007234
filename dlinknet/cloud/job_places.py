"""The folders of a job on this machine.

Each is a folder of cache_path. Its path stands for an input or the output, wherever the files are:

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

    cache: the folder that holds them. default_cache: the default of cache_path; paths below it mean
    the same as paths below `cache`. out: the folder of the outputs.
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
        """Return the local path of an output.

        A relative path, or a path below 'train', stands for the same path below train_url. Any
        other path stands for train_url itself.

        Args:
            value: the path that the user gave.
            is_file: True if the output is a file, False for a folder.
        """
        path, below = Path(value), self.below(value, TRAIN)
        if below is None and not path.is_absolute():
            below = path
        if below is None or ".." in below.parts:
            below = Path(path.name) if is_file else Path()
        return self.out / below
