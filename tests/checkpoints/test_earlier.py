"""Checkpoints and exports that commit edc289b wrote still open: its texts, sidecars and tensors.

A training of LinkNet18 on six images, one on four images of CamVid's layout, and export.py wrote
the files in edc289b/. The checkpoints themselves are too large for the repository.
"""

import json
from pathlib import Path

import pytest

from dlinknet import config
from dlinknet.checkpoints.model_card import ModelCard, parse_card
from dlinknet.commands.resuming import fixed_settings
from dlinknet.inference import description
from dlinknet.models import build
from dlinknet.training.progress import SavedRun

EARLIER = Path(__file__).parent / "edc289b"


def kept(name):
    return json.loads((EARLIER / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "name, classes", [("roads_last", 1), ("roads_best", 1), ("classes_best", 11)]
)
def test_a_checkpoints_text_is_a_card(name, classes):
    card = parse_card(kept(f"{name}.json")["meta"], name)
    assert (card.model, card.classes, card.padding, card.decoder) == (
        "linknet18",
        classes,
        "explicit",
        "full",
    )
    assert card.augment == "" and card.ground_resolution is None, "what it does not say"
    assert len(card.known_classes(name).names) == max(classes, 2)


@pytest.mark.parametrize("name", ["roads_best", "classes_best"])
def test_its_tensors_are_those_of_the_network(name):
    saved = kept(f"{name}.json")
    card = parse_card(saved["meta"], name)
    network = build(card.model, card.classes, padding=card.padding, decoder=card.decoder)
    assert {p.name: [str(p.dtype), list(p.shape)] for p in network.get_parameters()} == saved[
        "tensors"
    ]


def test_a_run_can_go_on():
    saved = SavedRun.from_dict(kept("roads_last.json")["meta"])
    assert saved.state.step > 0 and saved.state.position.epoch >= 2
    assert saved.settings["model_name"] == "linknet18" and len(saved.data.train) == 4


def test_the_settings_that_a_run_must_keep_are_still_these():
    earlier = kept("roads_last.json")["meta"]["settings"]
    assert fixed_settings(config.load([], "")).keys() == earlier.keys()


@pytest.mark.parametrize("name", ["roads.onnx", "roads.mindir", "classes.onnx"])
def test_a_sidecar_is_read(name, tmp_path, monkeypatch):
    values = kept(f"sidecar_{name.replace('.', '_')}.json")
    model = tmp_path / name
    model.write_bytes(b"the model")
    monkeypatch.setattr(description, "sha256", lambda file: values["sha256"])
    (tmp_path / f"{name}.json").write_text(json.dumps(values))
    found = description.read(str(model))
    assert found.card.model == "linknet18" and found.shape.size == (64, 64)
    assert found.card.to_dict() == ModelCard.from_dict(values).to_dict()
    shape = found.shape.to_dict(found.card.classes, found.card.preprocessing)
    now = {**values, **found.card.to_dict(), **shape}
    assert now == values, "what is written now is what was written"
