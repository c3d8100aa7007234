"""Draws aerial scenes with their road masks: fields, woods, houses, water, shadows, roads of many kinds.

For the quick start and the tests: made on the spot, each scene a pure function of an rng. Everything is painted at twice the
scene's size and then halved, which gives edges the softness of a photograph. One pixel stands for about half a metre.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from dlinknet.images.write import write_image

Rng = np.random.Generator

SUN = (5, 7)  # where shadows fall, in painted pixels per unit of height
FIELDS = (
    (62, 108, 92),
    (70, 128, 118),
    (96, 150, 158),
    (78, 116, 138),
    (110, 158, 176),
    (58, 92, 70),
    (88, 122, 108),
)
ROOFS = (
    (72, 82, 148),
    (60, 66, 112),
    (92, 96, 104),
    (120, 124, 132),
    (84, 104, 156),
    (150, 152, 160),
)
# Surfaces (BGR) and half widths in painted pixels: asphalt new and old, concrete, gravel, earth.
ROADS = (
    ((108, 106, 104), (9, 13)),
    ((138, 136, 134), (7, 11)),
    ((172, 174, 176), (7, 11)),
    ((160, 176, 188), (5, 8)),
    ((136, 162, 184), (5, 7)),
)


@dataclass
class _Scene:
    """What is being painted: the picture (float32 BGR, 0..255), the road mask, and where nothing more may stand."""

    rng: Rng
    side: int
    picture: np.ndarray = field(init=False)
    road: np.ndarray = field(init=False)
    taken: np.ndarray = field(init=False)

    def __post_init__(self):
        self.picture = np.zeros((self.side, self.side, 3), np.float32)
        self.road = np.zeros((self.side, self.side), np.uint8)
        self.taken = np.zeros((self.side, self.side), np.uint8)

    def place(self, margin: int = 0) -> tuple[int, int]:
        """A random point (x, y), up to `margin` pixels outside the scene."""
        x, y = self.rng.integers(-margin, self.side + margin, 2)
        return int(x), int(y)


def draw_scene(rng: Rng, size: int) -> tuple[np.ndarray, np.ndarray]:
    """One scene: (image, mask), size x size x 3 uint8 BGR and size x size uint8 of 0 and 255."""
    scene = _Scene(rng, 2 * size)
    _paint_fields(scene)
    if rng.random() < 0.45:
        _paint_water(scene)
    lines = _road_network(scene)
    _paint_roads(scene, lines)
    _paint_houses(scene, lines)
    _paint_woods(scene)
    _paint_street_trees(scene, lines)
    return _photograph(scene, size), _halved(scene.road * 255, size)


def draw_pairs(numbers: range, image_folder: Path, mask_folder: Path, size: int, seed: int) -> None:
    """Draws scenes into two folders (which may be one) as sceneNNN_sat.jpg and sceneNNN_mask.png.

    Scene N is a function of (seed, N), whatever else is drawn.
    """

    def draw(number: int) -> None:
        image, mask = draw_scene(np.random.default_rng([seed, number]), size)
        write_image(image_folder / f"scene{number:03d}_sat.jpg", image)
        write_image(mask_folder / f"scene{number:03d}_mask.png", mask)

    image_folder.mkdir(parents=True, exist_ok=True)
    mask_folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(draw, numbers))


def _noise(rng: Rng, side: int, grain: int, octaves: int = 4) -> np.ndarray:
    """Smooth noise, side x side, mean 0, about -1..1: random grids of halving grain, enlarged and summed."""
    total = np.zeros((side, side), np.float32)
    weight = 1.0
    for _ in range(octaves):
        cells = max(2, side // max(1, grain) + 2)
        grid = rng.standard_normal((cells, cells)).astype(np.float32)
        total += weight * cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC)
        weight *= 0.55
        grain //= 2
        if grain < 2:
            break
    return total / 1.6


def _paint_fields(scene: _Scene) -> None:
    """A patchwork of fields with crop rows, parted by hedges and paths: cells of skewed, jittered grid points."""
    rng, side = scene.rng, scene.side
    centres = rng.uniform(-0.1, 1.1, (int(rng.integers(7, 16)), 2)) * side
    angle = rng.uniform(0, np.pi)
    stretch = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * [
        1.0,
        rng.uniform(1.2, 2.2),
    ]
    y, x = np.mgrid[:side, :side].astype(np.float32)
    wobble = 5 * _noise(rng, side, 60, 3)
    u = (x + wobble) * np.float32(stretch[0, 0]) + (y - wobble) * np.float32(stretch[1, 0])
    v = (x + wobble) * np.float32(stretch[0, 1]) + (y - wobble) * np.float32(stretch[1, 1])
    cell = np.zeros((side, side), np.int32)
    nearest = np.full((side, side), np.inf, np.float32)
    second = nearest
    for number, (a, b) in enumerate((centres @ stretch).astype(np.float32)):
        distance = np.abs(u - a) + np.abs(v - b)
        closer = distance < nearest
        second = np.minimum(second, np.where(closer, nearest, distance))
        nearest = np.where(closer, distance, nearest)
        cell[closer] = number
    soil = 6 * _noise(rng, side, 90) + 5 * _noise(rng, side, 10, 2)
    for number in range(len(centres)):
        inside = cell == number
        colour = np.array(FIELDS[rng.integers(len(FIELDS))], np.float32) + rng.normal(0, 7, 3)
        turn, pitch = angle + rng.choice([0, np.pi / 2]) + rng.normal(0, 0.05), rng.uniform(5, 13)
        slope = np.float32([np.cos(turn), np.sin(turn)]) * np.float32(2 * np.pi / pitch)
        rows = np.sin(x[inside] * slope[0] + y[inside] * slope[1]) * rng.choice(
            [0.0, 2.0, 5.0, 8.0]
        )
        scene.picture[inside] = colour + (rows + soil[inside])[:, None]
    hedge = second - nearest < rng.uniform(1, 8) * (1 + 0.6 * _noise(rng, side, 30, 2))
    scene.picture[hedge] = (
        np.array([42, 72, 52], np.float32) + 12 * _noise(rng, side, 8, 2)[..., None]
    )[hedge]


def _paint_water(scene: _Scene) -> None:
    """A winding river from edge to edge, or a pond; dark, smooth, with a pale shore."""
    rng, side = scene.rng, scene.side
    shape = np.zeros((side, side), np.uint8)
    if rng.random() < 0.5:
        width = int(rng.integers(30, 70))
        cv2.polylines(shape, [_curve(rng, scene, bend=0.35)], False, 1, width)
    else:
        hull = cv2.convexHull(
            (np.array(scene.place()) + rng.normal(0, side / 9, (9, 2))).astype(np.int32)
        )
        cv2.fillPoly(shape, [hull], 1)
        shape = (cv2.GaussianBlur(shape.astype(np.float32), (0, 0), 14) > 0.5).astype(np.uint8)
    shore = cv2.dilate(shape, np.ones((13, 13), np.uint8)) > 0
    scene.picture[shore] += np.array([14, 22, 26], np.float32)
    water = np.array([78, 74, 56], np.float32) + rng.normal(0, 8, 3)
    ripples = 4 * _noise(rng, side, 40) + 2 * _noise(rng, side, 6, 1)
    soft = cv2.GaussianBlur(shape.astype(np.float32), (0, 0), 1.5)[..., None]
    scene.picture += soft * (water + ripples[..., None] - scene.picture)
    scene.taken |= cv2.dilate(shape, np.ones((9, 9), np.uint8))


def _curve(rng: Rng, scene: _Scene, bend: float, start: np.ndarray | None = None) -> np.ndarray:
    """A smooth line as n x 2 int32 points (x, y), from a side of the scene (or `start`) to another side."""
    side = scene.side
    sides = rng.permutation(4)
    ends = [
        {0: (-30, t), 1: (side + 30, t), 2: (t, -30), 3: (t, side + 30)}[int(s)]
        for s, t in zip(sides, rng.uniform(0.1, 0.9, 4) * side)
    ]
    first, last = np.array(ends[0] if start is None else start, float), np.array(ends[1], float)
    t = np.linspace(0, 1, 60)[:, None]
    along = last - first
    across = np.array([-along[1], along[0]])
    sway = bend * (
        rng.normal(0, 0.6) * np.sin(np.pi * t)
        + rng.normal(0, 0.35) * np.sin(2 * np.pi * t)
        + rng.normal(0, 0.12) * np.sin(4 * np.pi * t)
    )
    return np.round(first + along * t + across * sway).astype(np.int32)


def _road_network(scene: _Scene) -> list[tuple[np.ndarray, tuple, int]]:
    """Roads as (points, surface colour, half width): a main road, side roads leaving it, sometimes a second crossing one."""
    rng = scene.rng
    lines = []
    for _ in range(int(rng.integers(1, 3))):
        kind = ROADS[rng.integers(3)]
        lines.append(
            (_curve(rng, scene, bend=0.2), kind[0], int(rng.integers(kind[1][0], kind[1][1] + 1)))
        )
    for _ in range(int(rng.integers(1, 4))):
        trunk = lines[rng.integers(len(lines))][0]
        kind = ROADS[rng.integers(1, len(ROADS))]
        start = trunk[rng.integers(8, len(trunk) - 8)]
        lines.append(
            (
                _curve(rng, scene, 0.18, start),
                kind[0],
                int(rng.integers(kind[1][0], kind[1][1] + 1)),
            )
        )
    return lines


def _paint_roads(scene: _Scene, lines: list) -> None:
    """Verges, then surfaces from the narrowest to the widest, worn in the wheel tracks, with lane marks on wide ones."""
    rng, side = scene.rng, scene.side
    for points, _, half in lines:
        verge = np.zeros((side, side), np.uint8)
        cv2.polylines(verge, [points], False, 1, 2 * half + int(rng.integers(6, 14)))
        soft = cv2.GaussianBlur(verge.astype(np.float32), (0, 0), 3)[..., None] * 0.55
        ground = (
            np.array([96, 128, 132], np.float32)
            + rng.normal(0, 8, 3)
            + 8 * _noise(rng, side, 12, 2)[..., None]
        )
        scene.picture += soft * (ground - scene.picture)
    for points, colour, half in sorted(lines, key=lambda line: line[2]):
        surface = np.zeros((side, side), np.uint8)
        cv2.polylines(surface, [points], False, 1, 2 * half)
        tone = (
            np.array(colour, np.float32)
            + rng.normal(0, 6)
            + 4 * _noise(rng, side, 50)[..., None]
            + 3 * _noise(rng, side, 4, 1)[..., None]
        )
        inside = surface > 0
        scene.picture[inside] = np.broadcast_to(tone, scene.picture.shape)[inside]
        tracks = np.zeros((side, side), np.float32)
        cv2.polylines(tracks, [points], False, 1.0, max(2, half))
        scene.picture -= (cv2.GaussianBlur(tracks, (0, 0), 2) * 9)[..., None] * inside[..., None]
        if half >= 9:
            for a, b in zip(points[0::2], points[1::2]):
                cv2.line(
                    scene.picture,
                    tuple(map(int, a)),
                    tuple(map(int, b)),
                    (206, 210, 212),
                    2,
                    cv2.LINE_AA,
                )
        scene.road |= surface
        scene.taken |= cv2.dilate(surface, np.ones((9, 9), np.uint8))


def _paint_houses(scene: _Scene, lines: list) -> None:
    """Houses with ridged roofs along the roads and a few alone: each a turned rectangle, its sunny half lighter."""
    rng, side = scene.rng, scene.side
    for _ in range(int(rng.integers(6, 34))):
        points, _, half = lines[rng.integers(len(lines))]
        at = int(rng.integers(1, len(points) - 1))
        way = (points[at + 1] - points[at - 1]).astype(float)
        way /= max(1e-6, np.hypot(*way))
        off = np.array([-way[1], way[0]]) * rng.choice([-1, 1]) * (half + rng.uniform(26, 60))
        x, y = points[at] + off
        length, depth = rng.uniform(18, 40), rng.uniform(14, 24)
        turn = np.degrees(np.arctan2(way[1], way[0])) + rng.normal(0, 4) + rng.choice([0, 90])
        box = cv2.boxPoints(((float(x), float(y)), (length, depth), float(turn)))
        mark = np.zeros((side, side), np.uint8)
        cv2.fillConvexPoly(mark, box.astype(np.int32), 1)
        if not mark.any() or (scene.taken & cv2.dilate(mark, np.ones((7, 7), np.uint8))).any():
            continue
        _cast_shadow(scene, mark, 2)
        roof = np.array(ROOFS[rng.integers(len(ROOFS))], np.float32) + rng.normal(0, 8)
        cv2.fillConvexPoly(scene.picture, box.astype(np.int32), (roof * 0.82).tolist(), cv2.LINE_AA)
        ridge = np.array([(box[0] + box[1]) / 2, (box[2] + box[3]) / 2])
        sunny = np.array([box[1], box[2], ridge[1], ridge[0]])
        cv2.fillConvexPoly(
            scene.picture, sunny.astype(np.int32), (roof * 1.15).tolist(), cv2.LINE_AA
        )
        scene.taken |= mark


def _cast_shadow(scene: _Scene, mark: np.ndarray, height: float) -> None:
    """Darkens the ground beside what stands on `mark`."""
    shadow = mark.astype(np.float32)
    for step in np.linspace(0.2, 1, 6):
        move = np.float32([[1, 0, SUN[0] * height * step], [0, 1, SUN[1] * height * step]])
        shadow = np.maximum(shadow, cv2.warpAffine(mark.astype(np.float32), move, mark.shape[::-1]))
    scene.picture *= 1 - 0.5 * cv2.GaussianBlur(shadow, (0, 0), 1.2)[..., None]


def _paint_woods(scene: _Scene) -> None:
    """Clumps of crowns away from roads, water and houses, where smooth noise is high."""
    rng, side = scene.rng, scene.side
    dense = _noise(rng, side, 150, 3) > rng.uniform(0.35, 1.1)
    dense &= cv2.dilate(scene.taken, np.ones((15, 15), np.uint8)) == 0
    spots = np.argwhere(dense)
    if len(spots):
        count = min(len(spots) // 45, 1500)
        _paint_crowns(scene, spots[rng.integers(len(spots), size=count)][:, ::-1], (4, 11))


def _paint_street_trees(scene: _Scene, lines: list) -> None:
    """Single trees, most of them beside roads; a few crowns and shadows reach over the road, which stays road in the mask."""
    rng = scene.rng
    places = [np.array(scene.place()) for _ in range(int(rng.integers(5, 30)))]
    for points, _, half in lines:
        for at in rng.integers(0, len(points), int(rng.integers(0, 12))):
            places.append(points[at] + rng.choice([-1, 1], 2) * (half + rng.uniform(2, 14)))
    _paint_crowns(scene, np.array(places), (5, 12))


def _paint_crowns(scene: _Scene, places: np.ndarray, radii: tuple[int, int]) -> None:
    """Tree crowns at n x 2 places (x, y): their shadows first, then discs, darker below and lighter towards the sun."""
    rng, side = scene.rng, scene.side
    sizes = rng.uniform(*radii, len(places))
    ground = np.zeros((side, side), np.uint8)
    for (x, y), radius in zip(places, sizes):
        cv2.circle(ground, (int(x), int(y)), int(radius), 1, -1)
    _cast_shadow(scene, ground, 1.2)
    for (x, y), radius in zip(places, sizes):
        green = np.array([44, 78, 56], np.float32) * rng.uniform(0.75, 1.3) + rng.normal(0, 4, 3)
        for part, light in ((1.0, 0.72), (0.78, 1.0), (0.42, 1.25)):
            lift = radius * (1 - part) * 0.45
            centre = (int(x - lift), int(y - lift))
            cv2.circle(
                scene.picture,
                centre,
                max(1, int(radius * part)),
                (green * light).tolist(),
                -1,
                cv2.LINE_AA,
            )


def _photograph(scene: _Scene, size: int) -> np.ndarray:
    """Halves the painting and gives it a camera's haze, tint, blur and grain."""
    rng = scene.rng
    picture = _halved(scene.picture, size)
    picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 0.8))
    grey = picture.mean(axis=2, keepdims=True)
    picture = (grey + (picture - grey) * rng.uniform(0.6, 0.85)) * rng.uniform(0.9, 1.15)
    picture = picture + np.array([6, 2, 0]) * rng.uniform(0, 2)
    picture = (
        picture
        + 5 * _noise(rng, size, size // 2, 2)[..., None]
        + rng.normal(0, 3.0, (size, size, 1))
    )
    return np.clip(picture, 0, 255).astype(np.uint8)


def _halved(pixels: np.ndarray, size: int) -> np.ndarray:
    small = cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA)
    return np.where(small >= 128, 255, 0).astype(np.uint8) if pixels.ndim == 2 else small
