"""Properties of the settings: any value is accepted or gives one line; as_yaml keeps all values."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from dlinknet import config
from dlinknet.errors import UserError

hypothesis = pytest.importorskip("hypothesis", reason="pip install -r requirements-dev.txt")
given, reject, st = hypothesis.given, hypothesis.reject, hypothesis.strategies

KEYS = sorted(config.TYPES)
MANY = hypothesis.settings(max_examples=300)
FEWER = hypothesis.settings(max_examples=150)  # each example loads all settings
# Letters that YAML, numbers and paths give a meaning to.
SYNTAX = st.text("0123456789abcxeE.+-_:~ #'\"\n{}[]&*!|>%@,?=</", max_size=9)
WORDS = st.sampled_from(
    [
        "true",
        "No",
        "newest",
        "null",
        "nan",
        "-inf",
        "1e400",
        "010",
        "0b12",
        "0x1f",
        "1:30",
        "<<",
        "=",
    ]
)
TEXTS = st.one_of(SYNTAX, WORDS, st.text(max_size=40).filter(lambda text: "\0" not in text))
NUMBERS = st.one_of(st.integers(), st.integers(-2, 2**33), st.floats())
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS, st.just("x/" * 1000)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)


def values_for(key: str) -> Any:
    """Return a strategy for values of all kinds, many of them at the limits of a setting."""
    limit = config.defaults().limits.get(key)
    if limit is None:
        return VALUES
    if isinstance(limit, list):
        near = [word for choice in limit for word in (choice, choice.upper(), f"{choice}x")]
    else:
        near = [bound + step for bound in limit.values() for step in (-1, 0, 1)]
    return st.one_of(VALUES, st.sampled_from(near), st.sampled_from(near).map(str))


def assert_one_line(error: UserError) -> None:
    """Check that an error's text is one printable line of at most 300 characters."""
    text = str(error)
    assert text.isprintable() and len(text) <= 300, text


def assert_allowed(key: str, value: Any) -> None:
    """Check that a value has the type of its setting and is within the limits."""
    kind, limit = config.TYPES[key], config.defaults().limits.get(key)
    kind = getattr(kind, "__supertype__", kind)
    assert type(value) is kind
    if isinstance(limit, list):
        words = value.split(",") if key == "file_format" else [value]
        assert set(words) <= set(limit)
    elif limit is not None:
        assert math.isfinite(value)
        assert limit.get("min", -math.inf) <= value <= limit.get("max", math.inf)
        assert limit.get("above", -math.inf) < value < limit.get("below", math.inf)
        assert value % limit.get("multiple_of", 1) == 0 or kind is float


@MANY
@given(pair=st.sampled_from(KEYS).flatmap(lambda key: st.tuples(st.just(key), values_for(key))))
def test_any_value_is_accepted_within_its_limits_or_gives_one_line(pair):
    key, value = pair
    try:
        accepted = config.check(key, value, "mine.yaml")
    except UserError as error:
        assert_one_line(error)
    else:
        assert_allowed(key, accepted)
        assert config.check(key, accepted, "mine.yaml") == accepted


@FEWER
@given(key=st.sampled_from([*KEYS, "data-path", "sed", ""]), word=TEXTS)
def test_any_word_of_the_command_line_is_accepted_or_gives_one_line(key, word):
    try:
        settings = config.load([f"--{key}={word}"], "")
    except UserError as error:
        assert_one_line(error)
    else:
        assert settings.given == {key}
        assert_allowed(key, getattr(settings, key))


def allowed_values(key: str) -> Any:
    """Return a strategy for values that a setting accepts."""
    kind, limit = config.TYPES[key], config.defaults().limits.get(key)
    if isinstance(limit, list):
        return st.sampled_from(limit)
    if kind is bool:
        return st.booleans()
    if kind is int:
        step = limit.get("multiple_of", 1)
        return st.integers(-(-limit["min"] // step), limit["max"] // step).map(lambda n: n * step)
    if kind is float:
        return st.floats(
            limit.get("min", limit.get("above")),
            limit.get("max", limit.get("below")),
            exclude_min="above" in limit,
            exclude_max="below" in limit,
        )
    if key == "log_name":
        return TEXTS.filter(lambda text: text and "/" not in text and not text.startswith("."))
    return TEXTS


SOME_SETTINGS = st.lists(st.sampled_from(KEYS), max_size=8, unique=True).flatmap(
    lambda keys: st.fixed_dictionaries({key: allowed_values(key) for key in keys})
)


@FEWER
@given(values=SOME_SETTINGS)
def test_resolved_settings_read_back_as_the_same(values):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "mine.yaml")
        file.write_text(yaml.safe_dump(values, allow_unicode=True), encoding="utf-8")
        try:
            settings = config.load([f"--config_path={file}"], "")
        except UserError as error:
            # Two settings may contradict each other, as resize_width without resize_height does.
            assert any(
                f"{key} " in str(error) for key in ("tile_overlap", "resize_width", "train_height")
            ), error
            reject()
        file.write_text(settings.as_yaml(), encoding="utf-8")
        assert config.load([f"--config_path={file}"], "") == settings
