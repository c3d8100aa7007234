"""Objects in OBS through moxing, the library of ModelArts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable

from dlinknet.cloud.store import THREADS, Again, Broken, Object, join
from dlinknet.errors import first_line


class MoxingStore:
    """A Store through moxing.

    Args:
        file: the module moxing.file. Its errors do not say which are final, so all become Broken.
    """

    def __init__(self, file: Any):
        self.file = file

    def stat(self, url: str) -> Object | None:
        """Return the object of this URL, without its checksum."""
        if not self._ask(self.file.exists, url) or self._ask(self.file.is_directory, url):
            return None
        return Object(self._ask(self.file.get_size, url))

    def list(self, url: str, again: Again) -> dict[str, Object]:
        """Return every object below a folder."""
        if not again(lambda: self._ask(self.file.exists, url)):
            return {}
        names = [
            name.rstrip("/")
            for name in again(lambda: self._ask(self.file.list_directory, url, recursive=True))
        ]
        folders = {str(parent) for name in names for parent in Path(name).parents}

        def find(name: str) -> Object | None:
            place = join(url, name)
            if again(lambda: self._ask(self.file.is_directory, place)):  # an empty folder
                return None
            return Object(again(lambda: self._ask(self.file.get_size, place)))

        names = [name for name in names if name not in folders]
        with ThreadPoolExecutor(THREADS) as pool:
            found = zip(names, pool.map(find, names))
            return {name: each for name, each in found if each is not None}

    def get(self, url: str, file: Path, size: int) -> None:
        """Write an object's bytes to a file."""
        self._ask(self.file.copy, url, str(file))

    def put(self, file: Path, url: str) -> None:
        """Upload a file as an object."""
        self._ask(self.file.copy, str(file), url)

    def remove(self, url: str) -> None:
        """Remove an object."""
        self._ask(self.file.remove, url)

    def get_folder(self, url: str, folder: Path) -> None:
        """Download all files of a folder in one call."""
        self._ask(self.file.copy_parallel, url, str(folder))

    @staticmethod
    def _ask(call: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
        try:
            return call(*arguments, **more)
        except Exception as error:  # noqa: BLE001  (moxing has many kinds)
            raise Broken(first_line(error)) from None
