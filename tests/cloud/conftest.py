"""Stores for the tests: a real one on loopback for the OBS SDK, a folder for moxing's stand-in."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from dlinknet.cloud import transfer
from dlinknet.cloud.open_store import open_store

STANDIN = Path(__file__).resolve().parent / "standin"


@pytest.fixture(scope="session")
def obs_server():
    pytest.importorskip(
        "obs", reason="the OBS SDK is not installed: pip install -r requirements-obs.txt"
    )
    pytest.importorskip("moto.server", reason="no store to talk to: pip install 'moto[server]'")
    from tests.cloud.obs_server import ObsServer

    server = ObsServer()
    yield server
    server.close()


@pytest.fixture
def obs(obs_server):
    """The store on loopback without faults, its bucket empty."""
    obs_server.every, obs_server.cut, obs_server.requests = 0, None, []
    for key in obs_server.contents():
        obs_server.s3.delete_object(Bucket=obs_server.bucket, Key=key)
    return obs_server


@pytest.fixture
def moxing(tmp_path, monkeypatch):
    """The stand-in, importable, over an empty folder."""
    root = tmp_path / "moxing root"
    (root / "roads").mkdir(parents=True)
    monkeypatch.syspath_prepend(str(STANDIN))
    monkeypatch.setenv("MOXING_ROOT", str(root))

    def put_folder(key, folder):
        for file in folder.rglob("*"):
            if file.is_file():
                put(f"{key}/{file.relative_to(folder)}", file.read_bytes())

    def put(key, content):
        target = root / "roads" / key
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)

    def contents(prefix=""):
        return {
            str(file.relative_to(root / "roads")): file.read_bytes()
            for file in (root / "roads").rglob("*")
            if file.is_file() and str(file.relative_to(root / "roads")).startswith(prefix)
        }

    yield SimpleNamespace(
        root=root,
        url=lambda key="": f"s3://roads/{key}",
        put=put,
        put_folder=put_folder,
        contents=contents,
        environment={
            "MOXING_ROOT": str(root),
            "PYTHONPATH": os.pathsep.join(
                [str(STANDIN), *filter(None, [os.environ.get("PYTHONPATH")])]
            ),
        },
    )
    for name in [name for name in sys.modules if name.split(".")[0] == "moxing"]:
        del sys.modules[name]


@pytest.fixture(params=["obs", "moxing"])
def remote(request):
    """Each of the two, opened: `store` is ours, the rest reads and writes past it."""
    server = request.getfixturevalue(request.param)
    server.store = open_store(server.environment)
    return server


@pytest.fixture
def quick(monkeypatch):
    """Transfers that wait hardly at all before they try again."""
    monkeypatch.setattr(transfer, "PAUSES", (0.01,) * 6)
