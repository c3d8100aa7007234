"""Open the store that this machine has a library for."""

from __future__ import annotations

from collections.abc import Mapping

from dlinknet.cloud.moxing_store import MoxingStore
from dlinknet.cloud.obs_store import connect
from dlinknet.cloud.store import Store


def open_store(environment: Mapping[str, str]) -> Store:
    """Return OBS through moxing, which only ModelArts has, otherwise through the OBS SDK.

    Raises:
        InputError: neither is installed, or the environment lacks a variable for the SDK.
    """
    try:
        import moxing
    except ImportError:
        return connect(environment)
    return MoxingStore(moxing.file)
