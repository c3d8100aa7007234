"""Objects in OBS through the OBS SDK."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Callable

from dlinknet.cloud.store import Again, Broken, Object, Refused, split
from dlinknet.errors import InputError, first_line

# bytes. Larger objects travel in parts of this size, and only broken parts are sent again.
PART = 64 << 20
TIMEOUT = 60  # seconds without a byte
ENDPOINT = ("OBS_ENDPOINT", "S3_ENDPOINT")
# The environment's names of the access key, the secret key and the token.
KEYS = (
    ("OBS_ACCESS_KEY_ID", "OBS_SECRET_ACCESS_KEY", "OBS_SECURITY_TOKEN"),
    ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
)


def connect(environment: Mapping[str, str]) -> ObsStore:
    """Return OBS at the endpoint that the environment names.

    Raises:
        InputError: the SDK is not installed, or the environment lacks the endpoint or a key.
    """
    try:
        import obs
    except ImportError:
        raise InputError(
            "neither moxing, the library of ModelArts, nor the OBS SDK",
            "is installed: pip install esdk-obs-python",
        ) from None

    endpoint = next((environment[name] for name in ENDPOINT if environment.get(name)), "")
    # All three keys must be of one account.
    access, secret, token = next((names for names in KEYS if environment.get(names[0])), KEYS[0])
    missing = [name for name in (access, secret) if not environment.get(name)]
    missing = missing if endpoint else [ENDPOINT[0], *missing]
    if missing:
        raise InputError(
            "the OBS SDK",
            f"requires variables that the environment does not have: {', '.join(missing)}",
        )
    client = obs.ObsClient(
        access_key_id=environment[access],
        secret_access_key=environment[secret],
        security_token=environment.get(token) or None,
        server=endpoint,
        ssl_verify=True,
        max_retry_count=0,
        timeout=TIMEOUT,
    )
    if client.context is not None:  # the SDK by itself would accept any certificate
        client.context.check_hostname = True
        client.context.load_default_certs()
    return ObsStore(client)


class ObsStore:
    """A Store through the OBS SDK.

    Args:
        client: an obs.ObsClient that does not repeat requests by itself.
    """

    def __init__(self, client: Any):
        self.client = client

    def stat(self, url: str) -> Object | None:
        """Return the object of this URL."""
        bucket, key = split(url)
        found = self._ask(self.client.getObjectMetadata, bucket, key, missing=404) if key else None
        return None if found is None else _object(found.body.contentLength, found.body.etag)

    def list(self, url: str, again: Again) -> dict[str, Object]:
        """Return every object below a folder, page after page."""
        bucket, key = split(url)
        prefix, marker = f"{key}/" if key else "", None
        objects: dict[str, Object] = {}
        while True:
            page = again(partial(self._page, bucket, prefix, marker))
            for found in page.contents:
                if not found.key.endswith("/"):  # such an object marks a folder
                    objects[found.key[len(prefix) :]] = _object(found.size, found.etag)
            if not page.is_truncated:
                return objects
            marker = page.next_marker or page.contents[-1].key

    def _page(self, bucket: str, prefix: str, marker: str | None) -> Any:
        """Return the part of a list that begins after `marker`."""
        return self._ask(self.client.listObjects, bucket, prefix=prefix, marker=marker).body

    def get(self, url: str, file: Path, size: int) -> None:
        """Write an object's bytes to a file."""
        bucket, key = split(url)
        if size > PART:
            self._ask(self.client.downloadFile, bucket, key, str(file), PART, 4, True)
        else:
            self._ask(self.client.getObject, bucket, key, downloadPath=str(file.absolute()))

    def put(self, file: Path, url: str) -> None:
        """Upload a file as an object."""
        bucket, key = split(url)
        if file.stat().st_size > PART:
            self._ask(self.client.uploadFile, bucket, key, str(file), PART, 4, True, checkSum=True)
        else:
            self._ask(self.client.putFile, bucket, key, str(file))

    def remove(self, url: str) -> None:
        """Remove an object."""
        self._ask(self.client.deleteObject, *split(url))

    def get_folder(self, url: str, folder: Path) -> None:
        """Download nothing: the SDK is not faster with a whole folder."""

    @staticmethod
    def _ask(call: Callable[..., Any], *arguments: Any, missing: int = 0, **more: Any) -> Any:
        """Return the SDK's answer; None if its status is `missing`."""
        try:
            answer = call(*arguments, **more)
        except Exception as error:  # noqa: BLE001  (errors of sockets, HTTP and XML)
            if isinstance(error, OSError) and (
                error.filename or error.errno in (errno.ENOSPC, errno.EDQUOT)
            ):
                raise  # the error is of this machine's own disk
            raise Broken(first_line(error)) from None
        if answer.status < 300:
            return answer
        if answer.status == missing:
            return None
        parts = (answer.status, answer.errorCode or answer.reason, answer.errorMessage)
        text = " ".join(str(part) for part in parts if part)
        raise (Broken if answer.status in (408, 429) or answer.status >= 500 else Refused)(text)


def _object(size: Any, etag: Any) -> Object:
    """Return an object with these headers. The ETag of an object of a single part is its MD5."""
    tag = str(etag or "").strip('"').lower()
    is_md5 = len(tag) == 32 and all(digit in "0123456789abcdef" for digit in tag)
    return Object(int(size), tag if is_md5 else "")
