"""The Python interface: its imports, its images and its errors."""

import subprocess
import sys

import cv2
import mindspore
import numpy as np
import pytest

import dlinknet
from dlinknet.errors import InputError
from tests.conftest import ROOT, stripes


@pytest.fixture(scope="module")
def model(spread_checkpoint):
    return dlinknet.load(spread_checkpoint("linknet18"), "CPU")


def test_importing_it_imports_nothing_heavy():
    code = (
        "import sys, dlinknet; dlinknet.__version__; dir(dlinknet)\n"
        "heavy = ('mindspore', 'cv2', 'numpy', 'PIL', 'yaml')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "[]\n", done.stderr


def test_every_public_name_is_there():
    for name in dlinknet.__all__:
        assert getattr(dlinknet, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'train'"):
        dlinknet.train  # noqa: B018


def test_a_path_an_array_and_a_picture_are_predicted_alike(model, tmp_path):
    from PIL import Image

    pixels = stripes(0, 70, 90)[0]  # BGR
    cv2.imwrite(str(tmp_path / "a_sat.png"), pixels)
    rgb = np.ascontiguousarray(pixels[..., ::-1])
    by_path = model.predict(tmp_path / "a_sat.png")
    assert (by_path.id, by_path.probability.shape, by_path.probability.dtype) == (
        "a",
        (70, 90),
        np.float32,
    )
    for image in (rgb, Image.fromarray(rgb), Image.fromarray(rgb).convert("RGBA")):
        found = model.predict(image)
        assert np.array_equal(found.probability, by_path.probability)
        assert found.id == "image" and np.array_equal(found.image, rgb)
    assert set(np.unique(by_path.mask)) <= {0, 255} and by_path.mask.dtype == np.uint8
    assert np.array_equal(by_path.mask > 0, by_path.probability > 0.5)
    assert np.array_equal(model.predict(rgb, threshold=0.9).mask > 0, by_path.probability > 0.9)
    assert model.classes == ("road",) and model.card.model == "linknet18"
    assert "CPU" in model.device
    turned = model.predict(np.ascontiguousarray(pixels))
    assert not np.array_equal(turned.probability, by_path.probability), "BGR is another image"


def test_several_classes(spread_checkpoint):
    model = dlinknet.load(spread_checkpoint("linknet18", 3), "CPU")
    found = model.predict(stripes(1)[0])
    assert found.probability.shape == (3, 64, 64) and len(model.classes) == 3
    assert np.allclose(found.probability.sum(0), 1, atol=1e-5)
    assert np.array_equal(found.mask, 7 * found.probability.argmax(0)), "values of the table"


def test_what_is_saved_is_what_predict_writes(model, tmp_path):
    image = stripes(2)[0]
    found = model.predict(np.ascontiguousarray(image[..., ::-1]))
    written = found.save(tmp_path / "out", probabilities="npy")
    names = sorted(str(path.relative_to(tmp_path / "out")) for path in written)
    assert names == ["image_mask.png", "image_probability.npy", "overlays/image_overlay.jpg"]
    mask = cv2.imread(str(tmp_path / "out" / "image_mask.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(mask, found.mask)
    assert np.array_equal(np.load(tmp_path / "out" / "image_probability.npy"), found.probability)
    found.save(tmp_path / "png", probabilities="png", overlay=False)
    sixteen = cv2.imread(str(tmp_path / "png" / "image_probability.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(sixteen, np.round(found.probability * 65535))


def test_a_folder_one_after_another(model, tmp_path, caplog):
    for name in ("b", "a"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), stripes(0)[0])
    assert [found.id for found in model.predict_folder(tmp_path)] == ["a", "b"]
    (tmp_path / "aa.png").write_bytes(b"\x89PNG\r\n\x1a\n no image")
    found = model.predict_folder(tmp_path)
    assert next(found).id == "a"
    with pytest.raises(InputError, match="aa.png"):
        next(found)
    assert [f.id for f in model.predict_folder(tmp_path, skip_bad=True)] == ["a", "b"]


@pytest.mark.parametrize(
    "image, words",
    [
        (np.zeros((8, 8), np.uint8), r"an array of shape \(8, 8\) and type uint8 is no image"),
        (np.zeros((8, 8, 3)), "type float64 is no image: expected H x W x 3 uint8"),
        (np.zeros((0, 8, 3), np.uint8), "is no image"),
        ("none.png", "there is no file none.png"),
    ],
)
def test_what_is_no_image(model, image, words):
    with pytest.raises(InputError, match=words):
        model.predict(image)


def test_what_cannot_be_loaded(tmp_path):
    with pytest.raises(InputError, match="there is no file .*none.ckpt"):
        dlinknet.load(tmp_path / "none.ckpt")
    with pytest.raises(InputError, match="a tile of 100 pixels .* is not possible"):
        dlinknet.load("a.ckpt", tile_size=100)
    (tmp_path / "a.ckpt").write_bytes(b"nothing")
    with pytest.raises(InputError, match="a.ckpt is not a whole MindSpore checkpoint"):
        dlinknet.load(tmp_path / "a.ckpt", "CPU")


def test_networks_are_built_by_name():
    network = dlinknet.models.build("linknet18", classes=2)
    assert isinstance(network, mindspore.nn.Cell)
    image = mindspore.Tensor(np.zeros((1, 3, 32, 32), np.float32))
    assert network.set_train(False)(image).shape == (1, 2, 32, 32)
    for arguments, words in (
        ({"name": "unet"}, "'unet' is no network: choose one of dlinknet34"),
        ({"name": "linknet18", "decoder": "x"}, "'x' is no decoder"),
        ({"name": "linknet18", "padding": "x"}, "'x' is no padding"),
    ):
        with pytest.raises(InputError, match=words):
            dlinknet.models.build(**arguments)
