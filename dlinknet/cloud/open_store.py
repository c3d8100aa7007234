"""Open the store that this machine has a library for."""

from __future__ import annotations

from collections.abc import Mapping

from dlinknet.cloud.moxing_store import MoxingStore
from dlinknet.cloud.obs_store import connect
from dlinknet.cloud.store import Store


def open_store(environment: Mapping[str, str]) -> Store:
    """Return OBS as moxing shows it, which is inside ModelArts only, else as the OBS SDK does.

    Raises:
        InputError: neither is installed, or the environment lacks what the SDK requires.
    """
    try:
        import moxing
    except ImportError:
        return connect(environment)
    return MoxingStore(moxing.file)
