"""Exports: every format against the checkpoint, and what is refused."""

import importlib.util
import json
import os

import mindspore
import numpy as np
import pytest
from mindspore import Parameter, Tensor

from dlinknet.checkpoints.load import load_trained, set_value
from dlinknet.checkpoints.save import save
from dlinknet.devices import runtime
from dlinknet.errors import RunFailed, UserError
from dlinknet.export import mindir, onnx
from dlinknet.export.comparison import largest_difference
from dlinknet.export.exporter import Export, Source
from dlinknet.inference import description
from dlinknet.inference.description import SUFFIXES, Shape, path_of, read
from dlinknet.inference.engines import MindirEngine
from dlinknet.inference.onnx_engines import OnnxEngine

SIZES = [(64, 96), (128, 64), (160, 160)]
needs_onnx = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime")),
    reason="pip install -r requirements-onnx.txt",
)


def exporting(checkpoint, shape, model="linknet18", image=""):
    source = Source(str(checkpoint), lambda: load_trained(str(checkpoint), model))
    return Export(source, shape, 0.5, image)


@pytest.fixture(scope="module")
def planes(spread_checkpoint):
    """LinkNet18 on its way out: two images of 64 x 96 as planes."""
    return exporting(spread_checkpoint("linknet18"), Shape(2, (64, 96)))


def engine_of(file):
    shape = read(str(file)).shape
    return OnnxEngine(file, shape) if file.suffix == ".onnx" else MindirEngine(file, shape)


@pytest.mark.parametrize("file_format", ["MINDIR", pytest.param("ONNX", marks=needs_onnx)])
def test_what_is_written_is_whole_described_and_equal(planes, tmp_path, file_format):
    target = tmp_path / "new folder 道路" / f"net 1{SUFFIXES[file_format]}"
    planes.write(file_format, target)
    assert sorted(path.name for path in target.parent.iterdir()) == [
        target.name,
        target.name + ".json",
    ]
    values = json.loads(path_of(target).read_text())
    assert (
        read(str(target)).shape == planes.shape
        and values["model"] == "linknet18"
        and values["batch_norm"] == "folded"
    )
    assert values["input"] == {
        "name": "image",
        "type": "float32",
        "layout": "NCHW",
        "channels": "BGR",
        "shape": [2, 3, 64, 96],
    }
    assert values["output"]["shape"] == [2, 1, 64, 96] and values["threshold"] == 0.5
    assert values["preprocessing"] == {
        "where": "host",
        "scale": 3.2,
        "shift": -1.6,
        "pad": "reflect_101",
    }
    assert values["mindspore"] == mindspore.__version__
    assert values["opset"] == 11 if file_format == "ONNX" else values["mindir"] in (1, 2, 3)
    engines = ["MindSpore"] if file_format == "MINDIR" else ["ONNX Runtime", "OpenCV"]
    assert [name.split(" ")[0] for name in values["compared"]] == [
        name.split(" ")[0] for name in engines
    ]
    assert all(0 <= difference < 1e-5 for difference in values["compared"].values())
    # The export compared real outputs: an engine opened here gives the same on the same arrays.
    found = engine_of(target)(planes.planes[0])
    assert (
        found.shape == (2, 64, 96)
        and np.ptp(found) > 0.5
        and np.abs(found - planes.expected[0][:, 0]).max() < 1e-5
    )
    assert not np.allclose(found[0], found[1])


@pytest.fixture(scope="module")
def pixels(spread_checkpoint):
    """Export with pixels in and any size, or one size if this MindSpore has no dynamic MINDIR."""

    try:
        runtime.need_dynamic_shapes()
    except UserError:
        return exporting(spread_checkpoint("linknet18"), Shape(1, (64, 96), pixels=True))
    return exporting(spread_checkpoint("linknet18"), Shape(1, (64, 96), True, pixels=True))


@pytest.mark.parametrize("file_format", ["MINDIR", pytest.param("ONNX", marks=needs_onnx)])
def test_pixels_in_and_any_size(pixels, tmp_path, file_format):
    target, dynamic = tmp_path / f"net{SUFFIXES[file_format]}", pixels.shape.dynamic
    pixels.write(file_format, target)
    values = json.loads(path_of(target).read_text())
    assert values["input"]["shape"] == ([None, None, None, 3] if dynamic else [1, 64, 96, 3])
    assert values["input"]["type"] == "uint8" and values["preprocessing"]["where"] == "graph"
    engine = engine_of(target)
    for images, expected in zip(pixels.pixels, pixels.expected):
        assert (
            np.abs(engine(np.stack([engine.prepare(one) for one in images])) - expected[:, 0]).max()
            < 1e-5
        )
    assert engine.size == (None if dynamic else (64, 96))
    assert [array.shape for array in pixels.pixels] == [(1, 64, 96, 3), (2, 96, 160, 3)][
        : 1 + dynamic
    ]


def test_air_is_written_elsewhere_from_what_this_process_found(planes, tmp_path, monkeypatch):
    """With a stand-in for the process on the Ascend, which is not there."""

    called = []

    def stand_in(module, function, checkpoint, model, numbers, file, cwd):
        called.append((module, function, model, json.loads(numbers), cwd.parent))
        with open(file, "wb") as air:
            air.write(b"air")

    monkeypatch.setattr(mindir, "call_in_new_process", stand_in)
    monkeypatch.setattr(planes, "device_id", 3)
    planes.write("AIR", tmp_path / "net.air")
    assert called == [("mindir", "_write_air", "linknet18", [3, 2, 64, 96, False, True], tmp_path)]
    values = json.loads((tmp_path / "net.air.json").read_text())
    assert (values["compared"], values["batch_norm"], values["file_format"]) == (
        {},
        "folded",
        "AIR",
    )


def test_what_a_killed_export_left_is_cleared_and_a_living_one_is_not(
    planes, tmp_path, monkeypatch
):
    monkeypatch.setattr(planes, "compare", lambda *_: {})
    dead = next(number for number in range(99999, 1, -1) if not os.path.exists(f"/proc/{number}"))
    name = "net[1].mindir"  # brackets, which a pattern of files would read as a set of letters
    for number in (dead, 1):
        (tmp_path / f".{name}.{number}").mkdir()
    planes.write("MINDIR", tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f".{name}.1",
        name,
        f"{name}.json",
    ]


def test_a_json_that_cannot_be_written_costs_nothing(planes, tmp_path, monkeypatch):
    target = tmp_path / "net.mindir"
    target.write_text("before")
    path_of(target).write_text("before too")

    def full(*_):
        raise OSError(28, "No space left on device", "net.mindir.json")

    monkeypatch.setattr(planes, "compare", lambda *_: {})
    monkeypatch.setattr(description, "write", full)
    with pytest.raises(OSError):
        planes.write("MINDIR", target)
    assert (target.read_text(), path_of(target).read_text()) == ("before", "before too") and len(
        list(tmp_path.iterdir())
    ) == 2


def broken(monkeypatch, file_format, planes):
    """Make the next export of a format wrong.

    For ONNX, MindSpore's output stays unrepaired. For MINDIR, other weights are written.
    """

    if file_format == "ONNX":
        monkeypatch.setattr(onnx, "correct_model", lambda model, shape: None)
        return

    network = load_trained(planes.checkpoint, "linknet18").network
    bias = network.head.conv2.bias
    set_value(bias, bias.asnumpy() + np.float32(0.001))
    monkeypatch.setattr(planes, "network", network)


@pytest.mark.parametrize("file_format", ["MINDIR", pytest.param("ONNX", marks=needs_onnx)])
def test_a_wrong_export_is_refused_and_leaves_nothing(planes, tmp_path, monkeypatch, file_format):
    target = tmp_path / f"net{SUFFIXES[file_format]}"
    with monkeypatch.context() as patch:
        broken(patch, file_format, planes)
        with pytest.raises(RunFailed, match=target.name) as error:
            planes.write(file_format, target)
    assert "\n" not in str(error.value) and list(tmp_path.iterdir()) == []
    if file_format == "MINDIR":
        assert "differ by 0.0002" in str(error.value) or "differ by 0.0003" in str(
            error.value
        )  # 0.001 / 4
    target.write_text("before")
    path_of(target).write_text("before too")
    with monkeypatch.context() as patch:
        broken(patch, file_format, planes)
        with pytest.raises(RunFailed):
            planes.write(file_format, target)
    assert (target.read_text(), path_of(target).read_text()) == ("before", "before too") and len(
        list(tmp_path.iterdir())
    ) == 2


def test_what_is_not_a_number_or_of_another_shape_is_infinitely_far(planes):
    right = [array.copy() for array in planes.expected]
    assert largest_difference(right, planes.expected) == 0
    right[0][0, 0, 3, 4] = np.nan
    assert largest_difference(right, planes.expected) == float("inf")
    cut = [planes.expected[0][:, :, :32]]
    assert largest_difference(cut, planes.expected) == float("inf")


def test_what_is_not_a_number_at_the_second_size_counts_too(pixels):
    if not pixels.shape.dynamic:
        pytest.skip("this MindSpore has no dynamic MINDIR, so the fixture has one size")
    found = [array.copy() for array in pixels.expected]
    found[1][0, 0, 3, 4] = np.nan
    assert largest_difference(found, pixels.expected) == float("inf")


def test_the_limit_shrinks_with_the_range_of_the_probabilities(networks, tmp_path):
    """An untrained network gives nearly the same value everywhere.

    A difference that passes there proves nothing.
    """

    values = networks("linknet18")
    save(tmp_path / "flat.ckpt", values.get_parameters(), {"model": "linknet18", "classes": 1})
    export = exporting(tmp_path / "flat.ckpt", Shape(1, (64, 64)))
    span = export.range[1] - export.range[0]
    assert span < 0.5 and export.limit == pytest.approx(1e-4 * max(span, 0.01))


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("model", ["linknet18", "dlinknet34", "dlinknet50", "dlinknet101"])
def test_every_model_in_every_format(spread_checkpoint, tmp_path, model, size):
    export = exporting(spread_checkpoint(model), Shape(1, size), model)
    formats = ["MINDIR", *(["ONNX"] if importlib.util.find_spec("onnxruntime") else [])]
    for file_format in formats:
        export.write(file_format, tmp_path / f"net{SUFFIXES[file_format]}")


@pytest.mark.parametrize("padding", ["same", pytest.param("same_pool", marks=pytest.mark.slow)])
@needs_onnx
def test_encoders_that_pad_at_the_end(networks, tmp_path, padding):
    save(
        tmp_path / "a.ckpt",
        [
            Parameter(Tensor(p.asnumpy()), name=p.name)
            for p in networks("linknet18").get_parameters()
        ],
        {"model": "linknet18", "classes": 1, "padding": padding},
    )
    export = exporting(tmp_path / "a.ckpt", Shape(1, (64, 64)))
    export.write("ONNX", tmp_path / "a.onnx")
    assert json.loads((tmp_path / "a.onnx.json").read_text())["padding"] == padding


@pytest.mark.parametrize(
    "decoder",
    [
        pytest.param("full", marks=pytest.mark.slow),
        pytest.param("depthwise", marks=pytest.mark.slow),
        "subpixel",
    ],
)
def test_every_decoder_of_several_classes_is_exported_as_it_computes(
    spread_checkpoint, tmp_path, decoder
):
    """ONNX by ONNX Runtime and OpenCV, with BatchNorm in the convolutions, and once as MINDIR."""
    export = exporting(spread_checkpoint("linknet18", 3, decoder), Shape(1, (64, 96)))
    assert export.batch_norm == "folded" and export.expected[0].shape == (1, 3, 64, 96)
    assert np.allclose(export.expected[0].sum(1), 1, atol=1e-6) and np.ptp(export.expected[0]) > 0.3
    formats = (
        ["ONNX"]
        if importlib.util.find_spec("onnxruntime") and importlib.util.find_spec("onnx")
        else []
    ) + (["MINDIR"] if decoder == "subpixel" else [])
    for file_format in formats:
        target = tmp_path / f"net{SUFFIXES[file_format]}"
        export.write(file_format, target)
        values = json.loads(path_of(target).read_text())
        assert (values["classes"], values["decoder"], values["output"]["shape"]) == (
            3,
            decoder,
            [1, 3, 64, 96],
        )
        assert [each["name"] for each in values["class_table"]["classes"]] == [
            "class 0",
            "class 1",
            "class 2",
        ]
        assert (
            len(values["compared"]) == (2 if file_format == "ONNX" else 1)
            and max(values["compared"].values()) < 1e-5
        )
        found = engine_of(target)(export.planes[0])
        assert found.shape == (1, 3, 64, 96) and np.abs(found - export.expected[0]).max() < 1e-5


def test_a_checkpoint_of_several_classes_must_say_which(networks, tmp_path):
    save(
        tmp_path / "bare.ckpt",
        networks("linknet18", 3).get_parameters(),
        {"model": "linknet18", "classes": 3},
    )
    with pytest.raises(UserError, match="does not say which classes"):
        exporting(tmp_path / "bare.ckpt", Shape(1, (64, 64)))
