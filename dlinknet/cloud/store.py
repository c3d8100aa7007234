"""Objects in OBS, by moxing or by the OBS SDK, which know nothing of training.

s3://BUCKET/KEY, obs://BUCKET/KEY       the same; a folder is what shares a beginning of its keys up to a '/'
"""

from __future__ import annotations

import errno
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Mapping, Protocol

from dlinknet.errors import UserError, first_line

SCHEMES = ("s3://", "obs://")
THREADS = 8  # requests at a time: small images are slow one by one
PART = (
    64 << 20
)  # bytes; larger objects travel in parts of this size, of which only the broken ones are sent again
TIMEOUT = 60  # seconds without a byte
ENDPOINT = ("OBS_ENDPOINT", "S3_ENDPOINT")
KEYS = (
    ("OBS_ACCESS_KEY_ID", "OBS_SECRET_ACCESS_KEY", "OBS_SECURITY_TOKEN"),
    ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
)


Again = Callable[
    [Callable[[], Any]], Any
]  # calls a function until it does not raise Broken, and returns what it returned


class Broken(Exception):
    """A request that may go well when it is made again. The text is the cause."""


class Refused(Exception):
    """A request that will fail again: no such bucket, no right to it. The text is the cause."""


@dataclass(frozen=True)
class Object:
    """What a store says of a file."""

    size: int  # bytes
    md5: str = ""  # hexadecimal; empty where the store does not say it


class Store(Protocol):
    """Files below URLs. Every method may be called by several threads and raises Broken or Refused."""

    def stat(self, url: str) -> Object | None:
        """The object of this URL; None where there is none (a folder is none)."""

    def list(self, url: str, again: Again) -> dict[str, Object]:
        """Every object below a folder, by its path from there. `again` makes each of its requests."""

    def get(self, url: str, file: Path, size: int) -> None:
        """Writes an object's bytes, of which there are so many, to a file, which may be left in part."""

    def put(self, file: Path, url: str) -> None:
        """Makes an object of a file."""

    def remove(self, url: str) -> None:
        """Removes an object."""

    def get_folder(self, url: str, folder: Path) -> None:
        """Brings what it can of a folder at once, where that is faster than one by one; nothing says how much came."""


def is_remote(path: str) -> bool:
    """Whether this is a URL of a store."""
    return path.startswith(SCHEMES)


def same(url: str) -> str:
    """One way to write a URL: s3://b/x/ as obs://b/x."""
    return "obs://" + "/".join(filter(None, split(url)))


def join(url: str, path: str) -> str:
    """The URL of a path below a folder."""
    return f"{url.rstrip('/')}/{path}"


def split(url: str) -> tuple[str, str]:
    """(bucket, key) of a URL; a key has no '/' at its ends. UserError where there is no bucket."""
    bucket, _, key = url.split("://", 1)[1].partition("/")
    if not bucket:
        raise UserError(f"{url} names no bucket: write obs://BUCKET/PATH")
    return bucket, key.strip("/")


def open_store(environment: Mapping[str, str]) -> Store:
    """moxing where it is installed, which is inside ModelArts only; else the OBS SDK.

    Raises:
        UserError: neither is installed, or the environment lacks what the SDK takes.
    """
    try:
        import moxing

        return MoxingStore(moxing.file)
    except ImportError:
        pass
    try:
        import obs
    except ImportError:
        raise UserError(
            "enable_modelarts: neither moxing, which ModelArts has, nor the OBS SDK is installed: "
            "pip install -r requirements-obs.txt"
        ) from None

    endpoint = next((environment[name] for name in ENDPOINT if environment.get(name)), "")
    key, secret, token = next(
        (names for names in KEYS if environment.get(names[0])), KEYS[0]
    )  # never some of one, some of another
    missing = [
        name
        for name, value in (
            (ENDPOINT[0], endpoint),
            (key, environment.get(key)),
            (secret, environment.get(secret)),
        )
        if not value
    ]
    if missing:
        raise UserError(
            f"enable_modelarts: the OBS SDK takes {', '.join(missing)} from the environment, which is not there"
        )
    client = obs.ObsClient(
        access_key_id=environment[key],
        secret_access_key=environment[secret],
        security_token=environment.get(token) or None,
        server=endpoint,
        ssl_verify=True,
        max_retry_count=0,
        timeout=TIMEOUT,
    )
    if client.context is not None:  # the SDK itself would trust anybody's certificate
        client.context.check_hostname = True
        client.context.load_default_certs()
    return ObsStore(client, obs.PutObjectHeader)


class ObsStore:
    """Through the OBS SDK.

    Args:
        client: an obs.ObsClient that does not repeat requests by itself.
        header: obs.PutObjectHeader.
    """

    def __init__(self, client: Any, header: Callable[..., Any]):
        self.client, self.header = client, header

    def stat(self, url: str) -> Object | None:
        bucket, key = split(url)
        found = self._ask(self.client.getObjectMetadata, bucket, key, missing=404) if key else None
        return None if found is None else _object(found.body.contentLength, found.body.etag)

    def list(self, url: str, again: Again) -> dict[str, Object]:
        bucket, key = split(url)
        prefix, marker, objects = f"{key}/" if key else "", None, {}
        while True:
            page = again(
                lambda: self._ask(self.client.listObjects, bucket, prefix=prefix, marker=marker)
            ).body
            objects.update(
                {
                    found.key[len(prefix) :]: _object(found.size, found.etag)
                    for found in page.contents
                    if not found.key.endswith("/")
                }
            )  # which marks a folder
            if not page.is_truncated:
                return objects
            marker = page.next_marker or page.contents[-1].key

    def get(self, url: str, file: Path, size: int) -> None:
        bucket, key = split(url)
        if size > PART:
            self._ask(self.client.downloadFile, bucket, key, str(file), PART, 4, True)
        else:
            self._ask(self.client.getObject, bucket, key, downloadPath=str(file.absolute()))

    def put(self, file: Path, url: str) -> None:
        bucket, key = split(url)
        if file.stat().st_size > PART:
            self._ask(self.client.uploadFile, bucket, key, str(file), PART, 4, True, checkSum=True)
        else:
            self._ask(self.client.putFile, bucket, key, str(file))

    def remove(self, url: str) -> None:
        self._ask(self.client.deleteObject, *split(url))

    def get_folder(self, url: str, folder: Path) -> None:
        pass

    @staticmethod
    def _ask(call: Callable[..., Any], *arguments: Any, missing: int = 0, **more: Any) -> Any:
        """The SDK's answer; None where its status is `missing`."""
        try:
            answer = call(*arguments, **more)
        except Exception as error:  # noqa: BLE001  (the SDK passes on what sockets, HTTP and XML raise)
            if isinstance(error, OSError) and (
                error.filename or error.errno in (errno.ENOSPC, errno.EDQUOT)
            ):
                raise  # of this machine's own disk
            raise Broken(first_line(error)) from None
        if answer.status < 300:
            return answer
        if answer.status == missing:
            return None
        text = " ".join(
            str(part)
            for part in (answer.status, answer.errorCode or answer.reason, answer.errorMessage)
            if part
        )
        raise (Broken if answer.status in (408, 429) or answer.status >= 500 else Refused)(text)


class MoxingStore:
    """Through moxing, as ModelArts has it.

    Args:
        file: the module moxing.file. It does not say which failures are for ever: all count as Broken.
    """

    def __init__(self, file: Any):
        self.file = file

    def stat(self, url: str) -> Object | None:
        if not self._ask(self.file.exists, url) or self._ask(self.file.is_directory, url):
            return None
        return Object(self._ask(self.file.get_size, url))

    def list(self, url: str, again: Again) -> dict[str, Object]:
        if not again(lambda: self._ask(self.file.exists, url)):
            return {}
        names = [
            name.rstrip("/")
            for name in again(lambda: self._ask(self.file.list_directory, url, recursive=True))
        ]
        folders = {str(parent) for name in names for parent in Path(name).parents}

        def found(name: str) -> Object | None:
            place = join(url, name)
            if again(lambda: self._ask(self.file.is_directory, place)):  # an empty one
                return None
            return Object(again(lambda: self._ask(self.file.get_size, place)))

        names = [name for name in names if name not in folders]
        with ThreadPoolExecutor(THREADS) as pool:
            return {
                name: each for name, each in zip(names, pool.map(found, names)) if each is not None
            }

    def get(self, url: str, file: Path, size: int) -> None:
        self._ask(self.file.copy, url, str(file))

    def put(self, file: Path, url: str) -> None:
        self._ask(self.file.copy, str(file), url)

    def remove(self, url: str) -> None:
        self._ask(self.file.remove, url)

    def get_folder(self, url: str, folder: Path) -> None:
        self._ask(self.file.copy_parallel, url, str(folder))

    @staticmethod
    def _ask(call: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
        try:
            return call(*arguments, **more)
        except Exception as error:  # noqa: BLE001  (moxing has many kinds)
            raise Broken(first_line(error)) from None


def _object(size: Any, etag: Any) -> Object:
    """An ETag is the MD5 of an object that came in one part."""
    tag = str(etag or "").strip('"').lower()
    return Object(
        int(size),
        tag if len(tag) == 32 and all(digit in "0123456789abcdef" for digit in tag) else "",
    )
