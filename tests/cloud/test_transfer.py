"""Transfers that break: tried again, compared, and never taken for whole."""

import errno

import pytest

from dlinknet.cloud import transfer
from dlinknet.cloud.open_store import open_store
from dlinknet.cloud.store import Broken, Object, Refused
from dlinknet.cloud.transfer import contents, get_file, get_files, persist, put_file
from dlinknet.errors import InputError, RunFailed


def test_it_is_tried_again_after_growing_pauses(monkeypatch):
    slept, calls = [], []
    monkeypatch.setattr(transfer.time, "sleep", slept.append)

    def breaks(times):
        calls.append(1)
        if len(calls) <= times:
            raise Broken("503")
        return "done"

    assert persist("s3://b/x", lambda: breaks(6)) == "done"
    assert slept == [0.5, 1, 2, 4, 8, 16]
    with pytest.raises(RunFailed, match=r"^s3://b/x: 503 \(tried 7 times in 31.5 s\)$"):
        persist("s3://b/x", lambda: breaks(99))


def test_what_is_refused_is_not_tried_again(monkeypatch):
    monkeypatch.setattr(transfer.time, "sleep", lambda _: pytest.fail("it waited"))

    def refuse():
        raise Refused("403 AccessDenied")

    with pytest.raises(InputError, match="^s3://b/x: 403 AccessDenied$"):
        persist("s3://b/x", refuse)


def test_a_store_that_fails_every_third_request(obs, tmp_path, quick, monkeypatch):
    for number in range(12):
        obs.put(f"data/{number}.txt", str(number).encode() * 100)
    store = open_store(obs.environment)
    ask = store.client.listObjects
    monkeypatch.setattr(
        store.client, "listObjects", lambda *a, **k: ask(*a, **k, max_keys=1)
    )  # many pages, as of many files
    obs.every = 3
    found = contents(store, obs.url("data"))
    get_files(store, obs.url("data"), found, tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {
        f"{number}.txt": str(number).encode() * 100 for number in range(12)
    }
    for file in list(tmp_path.iterdir()):
        put_file(store, file, obs.url(f"out/{file.name}"))
    assert len(obs.contents("out/")) == 12
    assert len(obs.requests) > 12 + 2 * 12 + 10, "nothing failed"


def test_a_download_that_dies_in_the_middle(obs, tmp_path, quick):
    content = bytes(range(256)) * 4000
    obs.put("data/x.bin", content)
    store = open_store(obs.environment)
    what = store.stat(obs.url("data/x.bin"))
    obs.cut = ["GET", "x.bin", 2]
    get_file(store, obs.url("data/x.bin"), what, tmp_path / "x.bin")
    assert (tmp_path / "x.bin").read_bytes() == content and obs.cut[2] == 0
    obs.cut = ["GET", "x.bin", 99]
    with pytest.raises(RunFailed, match=r"^obs://.*/data/x.bin: .*\(tried 7 times"):
        get_file(store, obs.url("data/x.bin"), what, tmp_path / "y.bin")
    assert [file.name for file in tmp_path.iterdir()] == ["x.bin"], "half a file stayed"


def test_an_upload_that_dies_in_the_middle(obs, tmp_path, quick):
    content = bytes(range(256)) * 4000
    (tmp_path / "x.bin").write_bytes(content)
    store = open_store(obs.environment)
    obs.cut = ["PUT", "x.bin", 2]
    put_file(store, tmp_path / "x.bin", obs.url("out/x.bin"))
    assert obs.contents() == {"out/x.bin": content} and obs.cut[2] == 0
    obs.cut = ["PUT", "y.bin", 99]
    with pytest.raises(RunFailed, match=r"^obs://.*/out/y.bin: .*\(tried 7 times"):
        put_file(store, tmp_path / "x.bin", obs.url("out/y.bin"))
    assert list(obs.contents()) == ["out/x.bin"]


def test_moxing_that_fails_now_and_then(moxing, tmp_path, quick):
    for number in range(4):
        moxing.put(f"data/deep/{number}.txt", b"abc")
    store = open_store(moxing.environment)
    (moxing.root / "faults").write_text("3")  # every third call of any kind fails
    target = tmp_path / "data"
    target.mkdir()
    get_files(store, moxing.url("data"), contents(store, moxing.url("data")), target)
    assert sorted(str(file.relative_to(target)) for file in target.rglob("*.txt")) == [
        f"deep/{number}.txt" for number in range(4)
    ]


class Lying:
    """A store that brings other bytes than it promised."""

    def __init__(self, content, md5=""):
        self.content, self.md5 = content, md5

    def stat(self, url):
        return Object(5, self.md5)

    def list(self, url, again):
        return {"../out.txt": Object(1)}

    def get(self, url, file, size):
        file.write_bytes(self.content)

    def put(self, file, url):
        pass


@pytest.mark.parametrize(
    "content, md5, words",
    [
        (b"hell", "", "4 of 5 bytes came"),
        (b"HELLO", "5d41402abc4b2a76b9719d911017c592", "its checksum is another one"),
    ],
)
def test_other_bytes_than_promised(tmp_path, quick, content, md5, words):
    store = Lying(content, md5)
    with pytest.raises(RunFailed, match=words):
        get_file(store, "s3://b/x", store.stat(""), tmp_path / "x")
    assert not list(tmp_path.iterdir())
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(RunFailed, match=words if md5 else "5 of 4 bytes came"):
        put_file(store, tmp_path / "x", "s3://b/x")


def test_a_name_that_leads_out_of_its_folder():
    with pytest.raises(InputError, match="holds '../out.txt', which leads out of its folder"):
        contents(Lying(b""), "s3://b/data")


def test_a_full_disk_is_said_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(transfer.time, "sleep", lambda _: pytest.fail("it waited"))

    class Full(Lying):
        def get(self, url, file, size):
            raise OSError(errno.ENOSPC, "No space left on device", str(file))

    with pytest.raises(OSError, match="No space left"):
        get_file(Full(b""), "s3://b/x", Object(5), tmp_path / "x")
