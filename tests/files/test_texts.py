"""YAML and JSON of others: every fault is a short line, and every result is plain."""

import time

import pytest

from dlinknet.errors import shown
from dlinknet.files.foreign import foreign
from dlinknet.files.texts import (
    DEPTH,
    YAML_BYTES,
    BadText,
    parse_json,
    parse_yaml,
    read_yaml,
)

LAUGHS = "\n".join(
    [
        "a: &a [x, x, x]",
        *(
            f"{after}: &{after} [*{name}, *{name}, *{name}]"
            for name, after in zip("abcdefgh", "bcdefghi")
        ),
    ]
)


@pytest.mark.parametrize(
    "text, value",
    [
        ("a: 1_000", 1000),
        ("a: 0x10", 16),
        ("a: 0b11", 3),
        ("a: 0", 0),
        ("a: -5", -5),
        ("a: 1.5", 1.5),
        ("a: 3.0e+38", 3.0e38),
        ("a: 1e-4", "1e-4"),
        ("a: yes", True),
        ("a:", None),
        ("a: 'x: y'", "x: y"),
        ("a: '010'", "010"),
        ("a: 2026-11-31", "2026-11-31"),
        ("a: 1:30", "1:30"),
        ("a: 1:30.5", "1:30.5"),
        ("a: .", "."),
        ("a: 0x", "0x"),
        ("a: 0x_", "0x_"),
        ("a: 0b2", "0b2"),
        ("\ufeffa: [路]", ["路"]),
    ],
)
def test_yaml_is_read_as_it_looks(text, value):
    assert parse_yaml(text.encode()) == [{"a": value}]


@pytest.mark.parametrize(
    "text, words",
    [
        ("a: 010", "line 1: '010' has a leading 0"),
        ("a: 1\nb: -08", "line 2: '-08' has a leading 0"),
        ("a: !!binary aGk=", "a tag"),
        ("a: !!int ''", "a tag"),
        ("a: !!timestamp x", "a tag"),
        ("a: !!python/object:os.system x", "a tag"),
        (LAUGHS, "line 2: an alias (*a)"),
        ("a: &a [*a]", "an alias"),
        ("a: " + "[" * 500, f"more than {DEPTH} levels"),
        ("a: 1\na: 2", "line 2: the key 'a' appears twice"),
        ("? [1]\n: 2", "a key must be a word"),
        ("a: " + "1" * 400, "more than 40 digits"),
        ("a: 1" + "0" * 400 + ".0", "inf is not a finite number"),
        ('a: "x\\0b"', "has a NUL byte"),
        ('a: "\\ud800"', "half of a surrogate pair"),
        ("a: .inf", "not a finite"),
        ("a: .nan", "not a finite"),
        ("a: b: c", "not YAML"),
        ("a: [", "not YAML"),
    ],
)
def test_bad_yaml_is_one_short_line(text, words):
    with pytest.raises(BadText) as caught:
        assert not parse_yaml(text.encode("utf-8", "surrogatepass")), "a text that is refused"
    line = str(caught.value)
    assert words in line and len(line) <= 200 and "\n" not in line and "\0" not in line


@pytest.mark.parametrize(
    "text, words",
    [
        ("[" * 100_000, "levels"),
        ("[" * (DEPTH + 2) + "]" * (DEPTH + 2), "levels"),
        ("9" * 100_000, "more than 40 digits"),
        ("[1e400]", "inf"),
        ("[NaN]", "NaN is not a finite"),
        ("[-Infinity]", "not a finite"),
        ('"\\ud800"', "half of a surrogate pair"),
        ('{"a\\u0000": 1}', "NUL byte"),
        ("{", "line 1: not JSON"),
        (b"\xff", "not a UTF-8"),
        ("", "not JSON"),
    ],
)
def test_bad_json_is_one_short_line(text, words):
    with pytest.raises(BadText) as caught:
        parse_json(text)
    assert words in str(caught.value) and len(str(caught.value)) <= 200


def test_json_of_usual_size_is_read():
    assert parse_json('{"a": [1, 2.5, "é", null, true]}') == {"a": [1, 2.5, "é", None, True]}


def test_a_file_that_git_lfs_left_is_called_by_name(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("version https://git-lfs.github.com/spec/v1\nsize: 12\n")
    with pytest.raises(BadText, match="git lfs pull"):
        read_yaml(file)


def test_a_file_is_read_up_to_a_size_only(tmp_path):
    large = tmp_path / "large.yaml"
    large.write_bytes(b"# " + b"x" * YAML_BYTES)
    with pytest.raises(BadText, match="more than 256 kB"):
        read_yaml(large)
    start = time.monotonic()
    with pytest.raises(BadText, match="more than 256 kB"):
        read_yaml("/dev/zero")
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    "start, word",
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:12", "git lfs pull"),
        (b"\n <!DOCTYPE html><html>", "web page"),
        (b"<HTML><head>", "web page"),
        (b"\xff\xd8\xff\xe0", ""),
        (b"version: 1", ""),
    ],
)
def test_a_file_that_is_something_else_is_called_by_name(start, word):
    assert (word in foreign(start)) if word else foreign(start) == ""


def test_a_value_is_quoted_in_part():
    assert (
        shown("abc") == "'abc'"
        and len(shown("x" * 10**6)) == 60
        and shown(["x" * 100]).endswith("...")
    )
    assert "\x1b" not in shown("\x1b[31mred")
