"""Paint the land of drawn scenes: fields, water, woods, trees and shadows.

Everything is painted at twice the scene's size; synthetic.py halves it. Sizes are in painted
pixels. One painted pixel stands for about a quarter of a metre.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np

Rng = np.random.Generator

SUN = (5, 7)  # direction (x, y) of shadows, in painted pixels per unit of height
FIELDS = (
    (62, 108, 92),
    (70, 128, 118),
    (96, 150, 158),
    (78, 116, 138),
    (110, 158, 176),
    (58, 92, 70),
    (88, 122, 108),
)


@dataclass
class Scene:
    """A scene in work.

    picture: side x side x 3 float32, BGR, 0 to 255. road_mask: side x side uint8, 1 for road.
    taken: side x side uint8, 1 for ground on which nothing more may be painted.
    """

    rng: Rng
    side: int
    picture: np.ndarray = field(init=False)
    road_mask: np.ndarray = field(init=False)
    taken: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.picture = np.zeros((self.side, self.side, 3), np.float32)
        self.road_mask = np.zeros((self.side, self.side), np.uint8)
        self.taken = np.zeros((self.side, self.side), np.uint8)

    def place(self, margin: int = 0) -> tuple[int, int]:
        """Return a random point (x, y), up to `margin` pixels outside the scene."""
        x, y = self.rng.integers(-margin, self.side + margin, 2)
        return int(x), int(y)


class Line(NamedTuple):
    """A road: its points, n x 2 int32 (x, y), its colour (BGR) and half its width in pixels."""

    points: np.ndarray
    colour: tuple[int, int, int]
    half: int


def noise(rng: Rng, side: int, grain: int, octaves: int = 4) -> np.ndarray:
    """Return smooth noise, side x side float32, mean 0, about -1 to 1.

    It is the sum of enlarged random grids. Each has half the grain of the grid before.
    """
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


def paint_fields(scene: Scene) -> None:
    """Paint a patchwork of fields with crop rows between hedges: cells around skewed points."""
    rng, side = scene.rng, scene.side
    centres = rng.uniform(-0.1, 1.1, (int(rng.integers(7, 16)), 2)) * side
    angle = rng.uniform(0, np.pi)
    stretch = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * [
        1.0,
        rng.uniform(1.2, 2.2),
    ]
    y, x = np.mgrid[:side, :side].astype(np.float32)
    wobble = 5 * noise(rng, side, 60, 3)
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
    soil = 6 * noise(rng, side, 90) + 5 * noise(rng, side, 10, 2)
    for number in range(len(centres)):
        inside = cell == number
        colour = np.array(FIELDS[rng.integers(len(FIELDS))], np.float32) + rng.normal(0, 7, 3)
        turn, pitch = angle + rng.choice([0, np.pi / 2]) + rng.normal(0, 0.05), rng.uniform(5, 13)
        slope = np.array([np.cos(turn), np.sin(turn)], np.float32) * np.float32(2 * np.pi / pitch)
        rows = np.sin(x[inside] * slope[0] + y[inside] * slope[1]) * rng.choice(
            [0.0, 2.0, 5.0, 8.0]
        )
        scene.picture[inside] = colour + (rows + soil[inside])[:, None]
    hedge = second - nearest < rng.uniform(1, 8) * (1 + 0.6 * noise(rng, side, 30, 2))
    scene.picture[hedge] = (
        np.array([42, 72, 52], np.float32) + 12 * noise(rng, side, 8, 2)[..., None]
    )[hedge]


def paint_water(scene: Scene) -> None:
    """Paint a winding river from edge to edge, or a pond; dark, smooth, with a pale shore."""
    rng, side = scene.rng, scene.side
    shape = np.zeros((side, side), np.uint8)
    if rng.random() < 0.5:
        width = int(rng.integers(30, 70))
        cv2.polylines(shape, [curve(rng, scene, bend=0.35)], False, 1, width)
    else:
        hull = cv2.convexHull(
            (np.array(scene.place()) + rng.normal(0, side / 9, (9, 2))).astype(np.int32)
        )
        cv2.fillPoly(shape, [hull], 1)
        shape = (cv2.GaussianBlur(shape.astype(np.float32), (0, 0), 14) > 0.5).astype(np.uint8)
    shore = cv2.dilate(shape, np.ones((13, 13), np.uint8)) > 0
    scene.picture[shore] += np.array([14, 22, 26], np.float32)
    water = np.array([78, 74, 56], np.float32) + rng.normal(0, 8, 3)
    ripples = 4 * noise(rng, side, 40) + 2 * noise(rng, side, 6, 1)
    soft = cv2.GaussianBlur(shape.astype(np.float32), (0, 0), 1.5)[..., None]
    scene.picture += soft * (water + ripples[..., None] - scene.picture)
    scene.taken |= cv2.dilate(shape, np.ones((9, 9), np.uint8))


def curve(rng: Rng, scene: Scene, bend: float, start: np.ndarray | None = None) -> np.ndarray:
    """Return a smooth line from a side of the scene (or `start`) to another, n x 2 int32 (x, y)."""
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


def cast_shadow(scene: Scene, mark: np.ndarray, height: float) -> None:
    """Darken the ground in the shadow of an object.

    Args:
        mark: side x side uint8, 1 where the object stands.
        height: of the object, in units of SUN.
    """
    shadow = mark.astype(np.float32)
    for step in np.linspace(0.2, 1, 6):
        move = np.array(
            [[1, 0, SUN[0] * height * step], [0, 1, SUN[1] * height * step]], np.float32
        )
        shadow = np.maximum(shadow, cv2.warpAffine(mark.astype(np.float32), move, mark.shape[::-1]))
    scene.picture *= 1 - 0.5 * cv2.GaussianBlur(shadow, (0, 0), 1.2)[..., None]


def paint_woods(scene: Scene) -> None:
    """Paint clumps of crowns away from roads, water and houses, where smooth noise is high."""
    rng, side = scene.rng, scene.side
    dense = noise(rng, side, 150, 3) > rng.uniform(0.35, 1.1)
    dense &= cv2.dilate(scene.taken, np.ones((15, 15), np.uint8)) == 0
    spots = np.argwhere(dense)
    if len(spots):
        count = min(len(spots) // 45, 1500)
        _paint_crowns(scene, spots[rng.integers(len(spots), size=count)][:, ::-1], (4, 11))


def paint_street_trees(scene: Scene, lines: list[Line]) -> None:
    """Paint single trees, most of them beside roads.

    A few crowns and shadows reach over the road, which stays road in the mask.
    """
    rng = scene.rng
    places = [np.array(scene.place()) for _ in range(int(rng.integers(5, 30)))]
    for points, _, half in lines:
        for at in rng.integers(0, len(points), int(rng.integers(0, 12))):
            places.append(points[at] + rng.choice([-1, 1], 2) * (half + rng.uniform(2, 14)))
    _paint_crowns(scene, np.array(places), (5, 12))


def _paint_crowns(scene: Scene, places: np.ndarray, radii: tuple[int, int]) -> None:
    """Paint tree crowns: first their shadows, then discs that are lighter towards the sun.

    Args:
        places: n x 2, (x, y).
        radii: the smallest and the largest radius of a crown.
    """
    rng, side = scene.rng, scene.side
    sizes = rng.uniform(*radii, len(places))
    ground = np.zeros((side, side), np.uint8)
    for (x, y), radius in zip(places, sizes):
        cv2.circle(ground, (int(x), int(y)), int(radius), 1, -1)
    cast_shadow(scene, ground, 1.2)
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
