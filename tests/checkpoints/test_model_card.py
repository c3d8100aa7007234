"""The model card of a trained network: it is read back as written, and nothing else is a card."""

import json

import pytest

from dlinknet.checkpoints.model_card import ModelCard, parse_card
from dlinknet.data.class_table import ClassTable
from dlinknet.data.classes import Class
from dlinknet.data.preprocess import CHOICES, Preprocessing
from dlinknet.data.roads import ROADS
from dlinknet.errors import UserError
from dlinknet.files.fields import BadFields
from tests.training.mutants import mutant

THREE = ClassTable(
    (Class("sky", (0, 0, 0)), Class("land", (1, 2, 3), (4,))),
    Class("void", (9, 9, 9)),
    counted=True,
)
CARD = ModelCard(
    "linknet18",
    3,
    THREE,
    "same_pool",
    "subpixel",
    Preprocessing(1.0, (-0.406, -0.456, -0.485), (48, 64)),
)


@pytest.mark.parametrize(
    "card",
    [
        CARD,
        ModelCard.for_classes("dlinknet34", ROADS),
        ModelCard("linknet34", 5),
    ],
)
def test_a_card_comes_back_as_it_was_written(card):
    assert ModelCard.from_dict(json.loads(json.dumps(card.to_dict()))) == card


def test_a_card_is_written_under_the_keys_that_checkpoints_have():
    assert ModelCard.for_classes("dlinknet34", ROADS).to_dict() == {
        "model": "dlinknet34",
        "classes": 1,
        "padding": "explicit",
        "decoder": "full",
        "preprocessing": {
            "layout": "NCHW",
            "channels": "BGR",
            "type": "float32",
            "scale": 3.2,
            "shift": -1.6,
        },
    }
    assert CARD.to_dict()["class_table"]["classes"][1] == {
        "name": "land",
        "colour": [1, 2, 3],
        "values": [4],
        "colours": [],
    }


def test_early_checkpoints_lack_fields():
    assert ModelCard.from_dict({"model": "dlinknet34", "classes": 1, "epoch": 3}) == ModelCard(
        "dlinknet34"
    )
    assert ModelCard("dlinknet34").known_classes("f") is ROADS and CARD.known_classes("f") is THREE


def test_a_network_of_which_too_little_is_known_is_refused():
    with pytest.raises(UserError, match="f has 5 maps and does not say which classes they are"):
        ModelCard("linknet34", 5).known_classes("f")
    assert CHOICES["imagenet_mean"] != Preprocessing(2.0, (0.0, 0.0, 0.0))
    with pytest.raises(
        UserError, match="f was trained with a preprocessing that this dlinknet does not know"
    ):
        ModelCard("linknet34", preprocessing=Preprocessing(2.0, (0.0, 0.0, 0.0))).known_classes("f")


def preprocessing(**changes):
    return {"preprocessing": {"scale": 3.2, "shift": -1.6, **changes}}


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"model": []}, "model is [], not a text"),
        ({"model": None}, "model is None"),
        ({"model": "x" * 61}, "at most 60 characters"),
        ({"classes": True}, "classes is True, not a whole number from 1 to 251"),
        ({"classes": 0}, "classes is 0"),
        ({"classes": -1}, "-1"),
        ({"classes": 252}, "classes is 252"),
        ({"classes": 1.0}, "classes is 1.0"),
        ({"classes": None}, "classes is None"),
        ({"padding": None}, "padding is None, not a text"),
        ({"padding": []}, "padding is []"),
        ({"decoder": {}}, "decoder is {}"),
        ({"preprocessing": 3}, "preprocessing is 3, not a dict"),
        ({"preprocessing": {"scale": 1}}, "preprocessing.shift is missing"),
        (preprocessing(scale=True), "preprocessing.scale is True, not a number"),
        (preprocessing(scale="1"), "scale is '1'"),
        (preprocessing(scale=float("nan")), "scale is nan, not a finite number"),
        (preprocessing(shift=[0, 0]), "shift.blue is [0, 0]"),
        (preprocessing(shift=[0, 0, None]), "preprocessing.shift.red is None"),
        (preprocessing(resize=[4]), "resize is [4], not 2 whole"),
        (preprocessing(resize=[4, 0]), "resize is [4, 0]"),
        (preprocessing(resize=[4, 2**20 + 1]), "from 1 to 1048576"),
        (preprocessing(channels="RGB"), "preprocessing has another channels than BGR"),
        ({"class_table": {"classes": [1, 2]}}, "class_table: "),
        ({"class_table": []}, "it needs a list of classes"),
        ({"class_table": THREE.to_dict()}, "classes is 1, and class_table has 3 classes"),
    ],
)
def test_a_field_of_another_type_or_range_is_named(changes, words):
    with pytest.raises(BadFields) as error:
        ModelCard.from_dict({"model": "linknet18", "classes": 1, **changes})
    assert (
        words in str(error.value) and len(str(error.value)) <= 160 and "\n" not in str(error.value)
    )


@pytest.mark.parametrize("values", [None, [], "x", 3, {}])
def test_what_is_no_dict_or_has_no_model_is_no_card(values):
    with pytest.raises(BadFields, match="not a dict|model is missing"):
        ModelCard.from_dict(values)


def test_mutants_are_cards_or_refused():
    refused = 0
    for seed in range(2000):
        try:
            assert isinstance(ModelCard.from_dict(mutant(CARD.to_dict(), seed)), ModelCard)
        except BadFields as error:
            refused += 1
            assert len(str(error)) <= 160
    assert 1000 < refused < 2000


def test_the_names_that_checkpoints_use_are_those_of_the_networks():
    assert parse_card(ModelCard("linknet18").to_dict(), "f") == ModelCard("linknet18")
    for name in ("model", "padding", "decoder"):
        with pytest.raises(
            UserError,
            match="f is a .*, which this dlinknet does not know; "
            "the checkpoint may be damaged or from a later",
        ):
            parse_card({**ModelCard("linknet18").to_dict(), name: "x"}, "f")
