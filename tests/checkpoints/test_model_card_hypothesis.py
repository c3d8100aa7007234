"""Any model card or class table is read back as it was written; any other dict is rejected."""

import json
from dataclasses import replace

import pytest

from dlinknet.checkpoints.model_card import ModelCard
from dlinknet.data.preprocess import CHOICES
from dlinknet.data.read_table import parse_classes
from dlinknet.files.fields import BadFields
from dlinknet.models.specs import DECODERS, NETWORKS, PADDINGS

hypothesis = pytest.importorskip("hypothesis", reason="pip install -r requirements-dev.txt")
given, strategies = hypothesis.given, hypothesis.strategies

NAMES = strategies.text(
    strategies.characters(min_codepoint=33, max_codepoint=0x4DFF), min_size=1, max_size=60
)
COLOURS = strategies.tuples(*[strategies.integers(0, 255)] * 3)


@strategies.composite
def tables(draw):
    """Draw a table of 2 to 12 classes whose names, colours and values differ."""
    names = draw(strategies.lists(NAMES, min_size=2, max_size=12, unique=True))
    colours = draw(strategies.lists(COLOURS, min_size=len(names), max_size=len(names), unique=True))
    values = draw(
        strategies.lists(
            strategies.integers(0, 255), min_size=len(names), max_size=len(names), unique=True
        )
    )
    return {
        "classes": [
            {"name": name, "colour": list(colour), "values": [value]}
            for name, colour, value in zip(names, colours, values)
        ]
    }


@given(table=tables())
def test_a_class_table_comes_back(table):
    try:
        classes = parse_classes(table)
    except ValueError as error:
        # A name cannot have every character; the error is then one line.
        assert "\n" not in str(error)
        return
    again = parse_classes(json.loads(json.dumps(classes.to_dict())))
    assert again == classes and again.outputs == len(table["classes"])


@given(
    model=strategies.sampled_from(sorted(NETWORKS)),
    padding=strategies.sampled_from(sorted(PADDINGS)),
    decoder=strategies.sampled_from(DECODERS),
    preprocessing=strategies.sampled_from(sorted(CHOICES)),
    resize=strategies.none() | strategies.tuples(*[strategies.integers(1, 4096)] * 2),
    augment=strategies.sampled_from(["", "full", "street"]),
    resolution=strategies.none() | strategies.floats(0.01, 100),
)
def test_a_card_comes_back(model, padding, decoder, preprocessing, resize, augment, resolution):
    card = ModelCard(
        model,
        1,
        None,
        padding,
        decoder,
        replace(CHOICES[preprocessing], resize=resize),
        augment,
        resolution,
    )
    assert ModelCard.from_dict(json.loads(json.dumps(card.to_dict()))) == card


JSON = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.integers(-(10**6), 10**6)
    | strategies.floats(allow_nan=False)
    | strategies.text(max_size=20),
    lambda inner: (
        strategies.lists(inner, max_size=4)
        | strategies.dictionaries(strategies.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(
    values=strategies.dictionaries(
        strategies.sampled_from(
            [
                "model",
                "classes",
                "padding",
                "decoder",
                "preprocessing",
                "class_table",
                "augment",
                "ground_resolution",
            ]
        ),
        JSON,
    )
)
def test_any_other_dict_is_a_card_or_one_line(values):
    try:
        card = ModelCard.from_dict(values)
    except BadFields as error:
        assert "\n" not in str(error) and len(str(error)) <= 160
    else:
        assert ModelCard.from_dict(card.to_dict()) == card
