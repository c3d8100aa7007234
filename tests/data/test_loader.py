"""Training batches: every image once, the same whatever the number of threads."""

import numpy as np
import pytest

from dlinknet import config
from dlinknet.commands import training
from dlinknet.commands.training import loader_of
from dlinknet.data.class_table import ClassTable
from dlinknet.data.classes import IGNORED, Class
from dlinknet.data.loader import Batching, TrainingLoader
from dlinknet.data.pairs import Pair, read_pairs
from dlinknet.data.preprocess import Preprocessing
from dlinknet.data.roads import ROADS
from dlinknet.devices import runtime
from dlinknet.devices.ranks import Ranks
from dlinknet.errors import UserError
from tests.conftest import stripes, write_pair


@pytest.fixture
def make(stripe_data):
    pairs = read_pairs(str(stripe_data), str(stripe_data))

    def build(
        batch_size=4,
        crop=None,
        level="full",
        seed=1,
        workers=2,
        pairs=pairs,
        rank=0,
        size=1,
        **more,
    ):
        batching = Batching(batch_size, crop, level, seed, workers, **more)
        return TrainingLoader(pairs, batching, rank=rank, size=size)

    return build


def epoch(loader, number, start=0):
    batches = [(images.asnumpy(), masks.asnumpy()) for images, masks in loader.epoch(number, start)]
    return np.concatenate([b[0] for b in batches]), np.concatenate([b[1] for b in batches])


def test_an_epoch_serves_every_image_and_fills_the_last_batch(make):
    loader = make(batch_size=4)
    assert len(loader) == 2
    order = loader.order(1).ravel()
    assert sorted(order[:6]) == list(range(6)) and list(order[6:]) == list(order[:2])
    assert list(loader.order(2).ravel()) != list(order)
    assert sorted(make(batch_size=8).order(1).ravel()) == sorted(
        [*range(6), *make(batch_size=8).order(1).ravel()[:2]]
    )


def test_processes_serve_together_what_one_serves_alone(make):
    """Compare three with a batch of 1 and one with a batch of 3, also from the third image on."""
    alone = make(batch_size=3)
    together = [make(batch_size=1, rank=rank, size=3) for rank in range(3)]
    assert {len(loader) for loader in together} == {len(alone)} == {2}
    for start in (0, 2):
        parts = [epoch(loader, 1, start) for loader in together]
        images, masks = epoch(alone, 1, start)
        assert len(images) == 6 and all(len(part[0]) == 2 for part in parts)
        for step, rank in np.ndindex(2, 3):
            assert np.array_equal(parts[rank][0][step], images[3 * step + rank])
            assert np.array_equal(parts[rank][1][step], masks[3 * step + rank])


@pytest.mark.parametrize(
    "done, batch_size, size", [(0, 2, 2), (2, 2, 2), (3, 1, 2), (4, 1, 3), (6, 2, 1), (5, 4, 2)]
)
def test_an_epoch_goes_on_where_other_processes_left_it(make, done, batch_size, size):
    """Whatever their number, no image is lost or served twice, but to fill the last batch."""
    whole = list(make(batch_size=6).order(3).ravel())
    rest = list(make(batch_size=batch_size, size=size).order(3, done).ravel())
    assert (
        rest == (whole * 3)[done : done + len(rest)]
        and done + len(rest) >= 6 > done + len(rest) - batch_size * size
    )


def test_batches_do_not_depend_on_threads_and_differ_by_epoch_and_seed(make):
    images, masks = epoch(make(workers=1), 1)
    assert images.shape == (8, 3, 64, 64) and images.dtype == np.float32
    assert masks.shape == (8, 1, 64, 64) and set(np.unique(masks)) == {0, 1}
    assert np.float32(-1.6) <= images.min() < -1 and images.max() <= np.float32(1.6)
    same = epoch(make(workers=2), 1)
    assert np.array_equal(images, same[0]) and np.array_equal(masks, same[1])
    assert not np.array_equal(images, epoch(make(), 2)[0])
    assert not np.array_equal(images, epoch(make(seed=2), 1)[0])


def test_crops_and_whole_images_of_any_size_fit_a_batch(make, tmp_path):
    folder = tmp_path / "mixed"
    for number, size in enumerate([(50, 70), (64, 33), (96, 96)]):
        write_pair(folder, f"m{number}", *stripes(number, *size))
    pairs = read_pairs(str(folder), str(folder))
    assert epoch(make(pairs=pairs, batch_size=3), 1)[0].shape == (3, 3, 96, 96)
    assert epoch(make(pairs=pairs, batch_size=3, crop=(64, 64)), 1)[0].shape == (3, 3, 64, 64)
    assert epoch(make(pairs=pairs, batch_size=2, crop=(128, 128)), 1)[1].shape == (4, 1, 128, 128)


def test_a_file_lost_during_training_is_one_line(make, stripe_data, capfd):
    loader = make()
    (stripe_data / "r3_sat.jpg").unlink()
    with pytest.raises(UserError, match="r3_sat.jpg"):
        epoch(loader, 1)
    assert capfd.readouterr().err == ""


def test_labels_are_served_as_they_are_with_crops_that_are_no_squares(tmp_path):
    import cv2

    classes = ClassTable(
        (Class("a", (0, 0, 0), (5,)), Class("b", (1, 1, 1), (6,))), Class("v", (2, 2, 2), (7,))
    )
    pixels = np.full((40, 100, 3), 51, np.uint8)
    cv2.imwrite(str(tmp_path / "i.png"), pixels)
    cv2.imwrite(
        str(tmp_path / "m.png"), np.array([5, 6, 7, 7], np.uint8).repeat(25)[None].repeat(40, 0)
    )
    pairs = [Pair("x", tmp_path / "i.png", tmp_path / "m.png", 40, 100)]
    preprocessing = Preprocessing(1.0, (-0.5, 0.0, 0.5), (80, 200))
    loader = TrainingLoader(pairs, Batching(1, (64, 96), "none"), classes, preprocessing)
    images, masks = epoch(loader, 1)
    assert images.shape == (1, 3, 64, 96) and masks.shape == (1, 1, 64, 96)
    assert np.allclose(images.mean((0, 2, 3)), [-0.3, 0.2, 0.7], atol=1e-6) and set(
        np.unique(masks)
    ) <= {0, 1, IGNORED}
    # 80 x 200 fills the crop, 40 x 100 as it lies there does not.
    assert (
        loader.small == 0
        and TrainingLoader(pairs, Batching(1, (64, 96), "none"), classes).small == 1
    )
    whole = TrainingLoader(pairs, Batching(1, None, "none"), classes, preprocessing)
    assert whole.small == 0
    assert (whole.height, whole.width) == (96, 224)
    masks = epoch(whole, 1)[1][0, 0]
    assert np.array_equal(masks[0, :200], np.array([0, 1, IGNORED, IGNORED]).repeat(50))


@pytest.mark.parametrize(
    "arguments, refused",
    [
        (["--batch_size=1", "--train_size=32"], True),
        (["--batch_size=2", "--train_size=32"], False),
        (["--batch_size=1", "--train_size=64"], False),
    ],
)
def test_a_step_too_small_for_batch_norm_is_refused(tmp_path, arguments, refused):
    """One value a channel has no variance: MindSpore computes NaN without an error."""

    pairs = [Pair("a", tmp_path / "a", tmp_path / "b", 64, 64)]
    if refused:
        with pytest.raises(
            UserError, match="a step of 1 x 32 x 32 gives BatchNorm one value a channel"
        ):
            loader_of(config.load(arguments, ""), pairs, ROADS, Ranks())
    else:
        assert len(loader_of(config.load(arguments, ""), pairs, ROADS, Ranks())) == 1


def test_pixels_are_what_the_numbers_are_made_of(make):
    """The same images and labels as bytes; the table of the preprocessing gives the numbers."""
    planes, labels = epoch(make(crop=(32, 64)), 2)
    loader = make(crop=(32, 64), pixels=True)
    pixels, masks = epoch(loader, 2)
    assert pixels.dtype == masks.dtype == np.uint8
    assert pixels.shape == (8, 32, 64, 3) and np.ptp(pixels) > 100
    assert np.array_equal(masks, labels)
    table = loader.preprocessing.table()
    for channel in range(3):
        assert np.array_equal(table[channel][pixels[..., channel]], planes[:, channel])


@pytest.mark.parametrize(
    "cores, ranks, expected",
    [(1, 1, 1), (2, 1, 2), (2, 4, 1), (192, 8, 8), (24, 8, 3), (192, 64, 8), (64, 16, 8)],
)
def test_threads_by_cores(monkeypatch, cores, ranks, expected):
    monkeypatch.setattr(training, "usable_cores", lambda: cores)
    assert training.default_workers(ranks) == expected


@pytest.mark.parametrize("target", ["CPU", "GPU", "Ascend"])
def test_devices_receive_bytes(make, monkeypatch, target):
    monkeypatch.setattr(runtime, "computes_on", lambda asked: asked == target)
    loader = loader_of(config.load(["--train_size=32"], ""), make().pairs, ROADS, Ranks())
    assert loader.pixels == (target != "CPU")
