"""Both stores by the same tests: what is there, what is not, and bytes both ways."""

import sys
import threading
from pathlib import Path

import pytest

from dlinknet.cloud import obs_store
from dlinknet.cloud.open_store import open_store
from dlinknet.cloud.store import Broken, Object, Refused, canonical, is_remote, join, split
from dlinknet.errors import InputError

MD5 = "5d41402abc4b2a76b9719d911017c592"  # of "hello", by md5sum


def listed(opened, url):
    return opened.list(url, lambda request: request())


def test_urls():
    assert (
        is_remote("s3://b/k")
        and is_remote("obs://b")
        and not is_remote("/s3/b")
        and not is_remote("")
    )
    assert (
        split("obs://b/a b/c.zip") == ("b", "a b/c.zip")
        and split("s3://b/") == ("b", "")
        and split("s3://b/x/") == ("b", "x")
    )
    assert join("s3://b/x/", "y/z") == join("s3://b/x", "y/z") == "s3://b/x/y/z"
    assert (
        canonical("s3://b/x/") == canonical("obs://b/x") == "obs://b/x"
        and canonical("s3://b") == canonical("obs://b/") == "obs://b"
    )
    with pytest.raises(InputError, match="names no bucket"):
        split("obs:///x")


def test_what_is_there(remote):
    remote.put("in/a.txt", b"hello")
    remote.put("in/deep er/中.txt", b"")
    remote.put("in a/other.txt", b"x")
    found = remote.store.stat(remote.url("in/a.txt"))
    assert found.size == 5 and found.md5 in ("", MD5)
    assert (
        remote.store.stat(remote.url("in")) is None
        and remote.store.stat(remote.url("in/b.txt")) is None
    )
    assert remote.store.stat(remote.url()) is None
    assert {name: each.size for name, each in listed(remote.store, remote.url("in")).items()} == {
        "a.txt": 5,
        "deep er/中.txt": 0,
    }
    assert listed(remote.store, remote.url("in/")) == listed(remote.store, remote.url("in"))
    assert listed(remote.store, remote.url("nothing")) == {}
    assert len(listed(remote.store, remote.url())) == 3


def test_bytes_there_and_back(remote, tmp_path):
    (tmp_path / "out.bin").write_bytes(b"hello")
    remote.store.put(tmp_path / "out.bin", remote.url("new folder/x.bin"))
    remote.store.put(tmp_path / "out.bin", remote.url("gone.bin"))
    remote.store.remove(remote.url("gone.bin"))
    assert remote.contents() == {"new folder/x.bin": b"hello"}
    remote.store.get(remote.url("new folder/x.bin"), tmp_path / "back.bin", 5)
    assert (tmp_path / "back.bin").read_bytes() == b"hello"


def test_obs_says_checksums_and_pages(obs, monkeypatch):
    opened = open_store(obs.environment)
    obs.put("in/a.txt", b"hello")
    assert opened.stat(obs.url("in/a.txt")) == Object(5, MD5)
    ask = opened.client.listObjects
    monkeypatch.setattr(opened.client, "listObjects", lambda *a, **k: ask(*a, **k, max_keys=2))
    for number in range(5):
        obs.put(f"many/{number}", b"x")
    obs.put("many/", b"")  # what a console makes of an empty folder
    assert sorted(listed(opened, obs.url("many"))) == ["0", "1", "2", "3", "4"]


def test_large_objects_travel_in_parts(obs, tmp_path, monkeypatch):
    monkeypatch.setattr(obs_store, "PART", 5 << 20)  # the smallest part that S3 accepts
    content = bytes(range(256)) * (11 << 12)  # 11 MiB
    (tmp_path / "big").write_bytes(content)
    opened = open_store(obs.environment)
    opened.put(tmp_path / "big", obs.url("big"))
    assert sum(method == "PUT" for method, _ in obs.requests) == 3
    assert opened.stat(obs.url("big")) == Object(len(content))  # no MD5 of what came in parts
    opened.get(obs.url("big"), tmp_path / "back", len(content))
    assert (tmp_path / "back").read_bytes() == content and obs.contents() == {"big": content}


def test_what_obs_refuses_and_what_breaks(obs, tmp_path):
    opened = open_store(obs.environment)
    with pytest.raises(Refused, match="404 NoSuchBucket"):
        listed(opened, "obs://no-such-bucket/x")
    obs.every = 1
    with pytest.raises(Broken, match="503"):
        listed(opened, obs.url())
    gone = open_store({**obs.environment, "OBS_ENDPOINT": "http://127.0.0.1:9"})
    with pytest.raises(Broken, match="refused"):
        gone.stat(obs.url("x"))


def test_this_machines_own_disk_is_not_the_stores_fault(obs):
    obs.put("x", b"hello")
    with pytest.raises(OSError, match="/dev/full"):
        open_store(obs.environment).get(obs.url("x"), Path("/dev/full/x"), 5)


def test_a_certificate_of_nobody_is_refused(obs):
    """The SDK by itself would send keys and data to whoever answers."""
    from werkzeug.serving import make_server

    server = make_server("127.0.0.1", 0, obs.answer, threaded=True, ssl_context="adhoc")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    opened = open_store(
        {**obs.environment, "OBS_ENDPOINT": f"https://127.0.0.1:{server.server_port}"}
    )
    with pytest.raises(Broken, match="CERTIFICATE_VERIFY_FAILED"):
        listed(opened, obs.url())
    server.shutdown()


def test_what_it_requires(obs, monkeypatch):
    for name in ("OBS_ENDPOINT", "OBS_ACCESS_KEY_ID", "OBS_SECRET_ACCESS_KEY"):
        with pytest.raises(
            InputError, match=f"^the OBS SDK requires variables .* not have: {name}$"
        ):
            open_store({**obs.environment, name: ""})
    stray = open_store(
        {**obs.environment, "AWS_SESSION_TOKEN": "of another account", "AWS_ACCESS_KEY_ID": "x"}
    )
    assert (
        stray.client.securityProvider.security_token,
        stray.client.securityProvider.access_key_id,
    ) == (None, "key")
    old = {"S3_ENDPOINT": obs.endpoint, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    assert listed(open_store(old), obs.url()) == {}
    monkeypatch.setitem(sys.modules, "obs", None)
    with pytest.raises(InputError, match="is installed: pip install esdk-obs-python$"):
        open_store(obs.environment)
