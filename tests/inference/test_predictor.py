"""Images of any size through a network, in tiles and views; and the scoring of a set."""

import csv

import cv2
import mindspore
import numpy as np
import pytest
from mindspore import nn

from dlinknet.data.pairs import read_pairs
from dlinknet.data.preprocess import pad, round_up, to_input
from dlinknet.data.roads import ROADS
from dlinknet.errors import UserError
from dlinknet.evaluation.judging import judge_of
from dlinknet.evaluation.metrics import confusion, figures
from dlinknet.evaluation.scoring import score, score_all
from dlinknet.evaluation.tables import write_image_csv
from dlinknet.inference.engines import NetworkEngine
from dlinknet.inference.predictor import EIGHT_VIEWS, ONE_VIEW, Predictor, labels_of, views_of
from dlinknet.inference.tiles import Tiling, along, blend_weights, shared_canvases
from tests.conftest import stripes, write_pair


@pytest.fixture(scope="module")
def brightness():
    """Build a network whose logit is the blue channel of the pixel to the left.

    It is cheap, exact, and not symmetric.
    """

    class Left(nn.Cell):
        def __init__(self):
            super().__init__()
            kernel = np.zeros((1, 3, 3, 3), np.float32)
            kernel[0, 0, 1, 0] = 2.0
            self.conv = nn.Conv2d(
                3, 1, 3, pad_mode="pad", padding=1, weight_init=mindspore.Tensor(kernel)
            )

        def construct(self, x):
            return self.conv(x)

    return Left()


def sigmoid(x):
    return 1 / (1 + np.exp(-x.astype(np.float64)))


def by_hand(image):
    """Return the probability map of the network above, in NumPy."""
    blue = to_input(image)[0]
    return sigmoid(2 * np.pad(blue, ((0, 0), (1, 0)))[:, :-1])


def test_odd_sizes_are_padded_and_cropped_back(brightness):
    image = np.random.default_rng(0).integers(0, 256, (45, 70, 3), dtype=np.uint8)
    predictor = Predictor(NetworkEngine(brightness), Tiling(1024, 256))
    probability = predictor.probability(image)
    assert probability.shape == (45, 70) and probability.dtype == np.float32
    assert np.allclose(probability, by_hand(image), atol=1e-6)
    assert np.allclose(predictor.probability(image, (96, 96)), probability, atol=1e-6)


def test_wrapping_does_not_rename_parameters(brightness):
    Predictor(NetworkEngine(brightness), Tiling(1024, 256))
    assert [p.name for p in brightness.get_parameters()] == ["conv.weight"]


@pytest.mark.parametrize("size", [(64, 64), (45, 70)])
def test_tta_is_the_mean_of_the_eight_views_turned_back(brightness, size):
    image = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    padded = pad(image, -(-size[0] // 32) * 32, -(-size[1] // 32) * 32)
    total = 0
    for turns in range(4):
        for mirror in (False, True):
            view = np.rot90(padded[:, ::-1] if mirror else padded, turns)
            back = np.rot90(by_hand(np.ascontiguousarray(view)), -turns)
            total = total + (back[:, ::-1] if mirror else back)
    expected = total[: size[0], : size[1]] / 8
    found = Predictor(
        NetworkEngine(brightness), Tiling(1024, 256, views_of(True, "full"))
    ).probability(image)
    assert np.allclose(found, expected, atol=1e-6)
    # The network looks to one side, so the views differ and the mean is not one of them.
    assert not np.allclose(found, by_hand(image), atol=1e-2)


def test_tta_of_scenes_with_a_sky_is_the_mean_of_the_image_and_its_mirror_image(brightness):
    image = np.random.default_rng(1).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    expected = (by_hand(image) + by_hand(np.ascontiguousarray(image[:, ::-1]))[:, ::-1]) / 2
    for augment in ("street", "mirror"):
        found = Predictor(
            Fixed(2, (64, 96)), Tiling(1536, 256, views_of(True, augment))
        ).probability(image)
        assert np.allclose(found, expected, atol=1e-6), "also of a model whose input is not square"
    assert not np.allclose(expected, by_hand(image), atol=1e-2)
    assert (
        views_of(True, "flips") == views_of(True, "none") == EIGHT_VIEWS
        and len({str(view) for view in EIGHT_VIEWS}) == 8
    )
    assert views_of(False, "street") == views_of(False, "full") == ONE_VIEW


def test_a_set_is_scored_image_by_image(brightness, tmp_path):
    for number, size in enumerate([(40, 64), (64, 33), (64, 64)]):
        write_pair(tmp_path, f"m{number}", *stripes(number, *size))
    pairs = read_pairs(str(tmp_path), str(tmp_path))
    predictor = Predictor(NetworkEngine(brightness), Tiling(1024, 256))
    scored = list(score(pairs, predictor, 0.6, "test"))
    assert [s.pair.id for s in scored] == ["m0", "m1", "m2"]
    for s in scored:
        image, truth = cv2.imread(str(s.pair.image)), cv2.imread(str(s.pair.mask), 0) >= 128
        assert np.array_equal(s.image, image) and np.array_equal(s.truth, truth)
        assert np.array_equal(s.prediction, by_hand(image) > 0.6)
        assert np.array_equal(s.counts, confusion(truth, s.prediction))
    total = sum(s.counts for s in scored)
    assert total.sum() == 40 * 64 + 64 * 33 + 64 * 64
    assert score_all(pairs, predictor, 0.6, "test") == figures(total)
    in_tiles = list(score(pairs, Predictor(NetworkEngine(brightness), Tiling(64, 32)), 0.6, "test"))
    assert all(np.array_equal(a.prediction, b.prediction) for a, b in zip(scored, in_tiles))
    assert Predictor(NetworkEngine(brightness), Tiling(64, 32)).canvases([(40, 64), (65, 64)]) == {
        (40, 64): (64, 64)
    }

    counts = [(s.pair.id, s.counts) for s in scored]
    write_image_csv(counts, tmp_path / "images.csv", judge_of(ROADS))
    with open(tmp_path / "images.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == ["m0", "m1", "m2"]
    assert float(rows[0]["road_iou"]) == pytest.approx(
        figures(scored[0].counts)["road_iou"], abs=1e-6
    )
    assert (
        int(rows[1]["true_road"]) == scored[1].counts[1, 1]
        and int(rows[1]["missed_road"]) == scored[1].counts[1, 0]
    )


@pytest.mark.parametrize(
    "size, tile, overlap", [((200, 330), 96, 32), ((64, 500), 128, 96), ((33, 129), 64, 0)]
)
@pytest.mark.parametrize("tta", [False, True])
def test_tiles_give_what_the_whole_image_gives(brightness, size, tile, overlap, tta):
    """The network sees one pixel in each direction.

    So blended values agree up to rounding, and all others bit by bit.
    """

    image = np.random.default_rng(2).integers(0, 256, (*size, 3), dtype=np.uint8)
    views = views_of(tta, "full")
    whole = Predictor(NetworkEngine(brightness), Tiling(1024, 0, views)).probability(image)
    predictor = Predictor(NetworkEngine(brightness), Tiling(tile, overlap, views))
    tiles = []
    bands = [
        (top, rows.copy())
        for top, rows in predictor.bands(image, tile_done=lambda: tiles.append(1))
    ]
    assert len(tiles) == predictor.tiles(*size) > 1
    assert [top for top, _ in bands] == list(np.cumsum([0, *(len(rows) for _, rows in bands)])[:-1])
    found = np.concatenate([rows for _, rows in bands])
    assert np.array_equal(found, predictor.probability(image))
    if overlap:
        assert np.abs(found - whole).max() < 1e-6
    else:  # without overlap the pixels at a tile's border miss their neighbours
        assert np.abs(found - whole).max() > 1e-2
    blended = np.zeros(size, bool)
    for axis, length in enumerate(size):
        side, starts = along(length, predictor.tile_size, predictor.overlap)
        for start, weight in zip(starts, blend_weights(starts, side)):
            partly = np.flatnonzero((weight > 0) & (weight < 1)) + start
            partly = partly[partly < length]
            blended[(partly, slice(None))[:: 1 if axis == 0 else -1]] = True
    if overlap:
        assert blended.any() and np.array_equal(found[~blended], whole[~blended])


@pytest.mark.parametrize(
    "tile, overlap", [(1536, 256), (128, 32), (96, 64), (3072, 2112), (1024, 0), (160, 100)]
)
def test_tiles_cover_an_axis_and_their_weights_sum_to_one(brightness, tile, overlap):
    predictor = Predictor(NetworkEngine(brightness), Tiling(tile, overlap))
    for length in (1, 33, 96, 97, 500, 1537, 4096, 5000):
        side, starts = along(length, predictor.tile_size, predictor.overlap)
        assert side <= tile and side % 32 == 0 and all(start % 32 == 0 for start in starts)
        assert starts[0] == 0 and 0 <= starts[-1] + side - length < 32
        assert all(start + side - after >= overlap for start, after in zip(starts, starts[1:]))
        total = np.zeros(starts[-1] + side)
        for start, weight in zip(starts, blend_weights(starts, side)):
            assert weight.min() >= 0
            total[start : start + side] += weight
        assert np.allclose(total, 1, atol=1e-6)


def test_a_tile_counts_from_three_eighths_of_the_overlap_on(brightness):
    # The tiles share 32 pixels, 64 to 95. They fade in 8 of these, 76 to 83.
    first, second = blend_weights([0, 64], 96)
    assert np.array_equal(first[:76], np.ones(76)) and np.array_equal(first[84:], np.zeros(12))
    assert np.allclose(first[76:84], 1 - (np.arange(8) + 0.5) / 8) and np.allclose(
        second[:32], 1 - first[64:]
    )


def test_dlinknet34_in_tiles_that_share_what_it_sees(networks):
    """D-LinkNet34 sees about 1000 pixels far, so tiles with an overlap of 2112 equal the whole.

    They are not equal bit by bit, because oneDNN adds in another order for another width.
    """

    image = np.random.default_rng(3).integers(0, 256, (32, 4032, 3), dtype=np.uint8)
    image = cv2.GaussianBlur(image, (0, 0), 3)
    whole = Predictor(NetworkEngine(networks("dlinknet34")), Tiling(4032, 0)).probability(image)
    predictor = Predictor(NetworkEngine(networks("dlinknet34")), Tiling(3072, 2112))
    side, starts = along(4032, predictor.tile_size, predictor.overlap)
    found = predictor.probability(image)
    assert whole.std() > 1e-3 and len(starts) == 2
    assert np.abs(found - whole).max() < 1e-3
    fading = (
        np.flatnonzero(blend_weights(starts, side)[0] < 1)[0],
        starts[1] + np.flatnonzero(blend_weights(starts, side)[1] == 1)[0],
    )
    for alone in np.s_[:, : fading[0]], np.s_[:, fading[1] :]:
        assert np.abs(found[alone] - whole[alone]).max() < 2e-6


def test_similar_sizes_share_a_canvas_and_a_huge_one_stands_alone():
    canvases = shared_canvases({(400, 400), (390, 410), (64, 64), (1500, 1500), (1490, 1500)})
    assert canvases[400, 400] == canvases[390, 410] == (416, 416)
    assert canvases[1500, 1500] == canvases[1490, 1500] == (1504, 1504)
    assert canvases[64, 64] == (64, 64)


def test_canvases_hold_their_images_at_twice_the_area_at_most():
    rng = np.random.default_rng(1)
    sizes = {tuple(map(int, rng.integers(20, 2000, 2))) for _ in range(200)}
    for (height, width), canvas in shared_canvases(sizes).items():
        own = round_up(height, width)
        assert canvas[0] >= height and canvas[1] >= width and canvas[0] % 32 == canvas[1] % 32 == 0
        assert canvas[0] * canvas[1] <= 2 * own[0] * own[1]


class Fixed:
    """An engine with a fixed batch and image size: the network above in NumPy.

    It records its inputs.
    """

    def __init__(self, batch, size):
        self.batch, self.size, self.given = batch, size, []

    def prepare(self, pixels):
        return pixels

    def __call__(self, inputs):
        assert inputs.shape == (self.batch, *self.size, 3) and inputs.dtype == np.uint8
        self.given.append(inputs.copy())
        return np.stack([by_hand(image) for image in inputs]).astype(np.float32)


@pytest.mark.parametrize("size", [(20, 30), (64, 96), (65, 96), (150, 310)])
@pytest.mark.parametrize("batch", [1, 3])
def test_an_engine_of_one_size_gets_that_size_and_full_batches(size, batch):
    image = np.random.default_rng(4).integers(0, 256, (*size, 3), dtype=np.uint8)
    engine = Fixed(batch, (64, 96))
    predictor = Predictor(engine, Tiling(1536, 256))  # such tiles share a quarter, 16 and 24 pixels
    assert np.allclose(predictor.probability(image), by_hand(image), atol=1e-6)
    assert len(engine.given) == -(-predictor.tiles(*size) // batch)
    assert predictor.canvases([size]) == {}
    if size == (65, 96):
        assert along(100, predictor.tile_size, predictor.overlap, 32) == (
            32,
            [0, 32, 64, 96],
        )  # tiles of 32 pixels cannot overlap
        assert (
            predictor.tiles(*size) == 2
            and predictor.tiles(150, 310) == 4 * 5
            and predictor.tiles(1024, 1024) == 31 * 16
        )
        if (
            batch == 3
        ):  # the second tile, 32 rows further down and padded, fills the rest of the batch
            assert np.array_equal(engine.given[0][1], pad(image[32:], 64, 96)) and np.array_equal(
                *engine.given[0][1:]
            )


def test_eight_views_require_a_square():
    image = np.random.default_rng(5).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    with pytest.raises(UserError, match="a model of 96x64 pixels has no views that are turned"):
        Predictor(Fixed(1, (64, 96)), Tiling(1536, 256, EIGHT_VIEWS))
    engine = Fixed(5, (64, 64))
    found = Predictor(engine, Tiling(1536, 256, EIGHT_VIEWS)).probability(image)
    views = [
        np.rot90(
            by_hand(np.ascontiguousarray(np.rot90(image[:, ::-1] if mirror else image, turns))),
            -turns,
        )
        for mirror in (False, True)
        for turns in range(4)
    ]
    expected = np.mean(
        [view[:, ::-1] if number > 3 else view for number, view in enumerate(views)], axis=0
    )
    assert np.allclose(found, expected, atol=1e-6) and len(engine.given) == 2


class Three:
    """Three classes in NumPy. The probability of each is the share of a colour in the pixel."""

    batch, size = 2, None

    def prepare(self, pixels):
        return pixels

    def __call__(self, inputs):
        values = inputs.astype(np.float32) + 1
        return (values / values.sum(-1, keepdims=True)).transpose(0, 3, 1, 2)


@pytest.mark.parametrize("tile, tta", [(1024, False), (64, False), (64, True)])
def test_several_classes_go_through_tiles_and_views(tile, tta):
    image = np.random.default_rng(5).integers(0, 256, (90, 150, 3), dtype=np.uint8)
    values = image.astype(np.float64) + 1
    expected = (values / values.sum(-1, keepdims=True)).transpose(2, 0, 1)
    found = Predictor(Three(), Tiling(tile, 32, views_of(tta, "full"))).probability(image)
    assert found.shape == (3, 90, 150) and np.allclose(found, expected, atol=1e-6)
    assert np.array_equal(labels_of(found, 0.9), image.argmax(-1))


def test_probabilities_of_a_resized_image_come_back_to_its_size():
    image = np.zeros((60, 90, 3), np.uint8)
    image[:30, :, 0], image[30:, :, 2] = 200, 200
    predictor = Predictor(Three(), Tiling(1024, 256, resize=(20, 30)))
    assert predictor.canvases([(60, 90)]) == {} and predictor.tiles(6000, 9000) == 1
    found = predictor.probability(image)
    assert found.shape == (3, 60, 90)
    assert (found.argmax(0)[:30] == 0).all() and (found.argmax(0)[30:] == 2).all()
    assert np.allclose(found[:, :25], np.array([201, 1, 1]).reshape(3, 1, 1) / 203, atol=1e-6)
    as_it_is = Predictor(Three(), Tiling(1024, 256, resize=(60, 90))).probability(image)
    assert np.array_equal(as_it_is, Predictor(Three(), Tiling(1024, 256)).probability(image))
