"""Paint the roads of drawn scenes, and the houses along them. Sizes are as in painting.py."""

from __future__ import annotations

import cv2
import numpy as np

from dlinknet.data.painting import Line, Scene, cast_shadow, curve, noise

ROOFS = (
    (72, 82, 148),
    (60, 66, 112),
    (92, 96, 104),
    (120, 124, 132),
    (84, 104, 156),
    (150, 152, 160),
)
# Surfaces (BGR) and half widths in painted pixels: asphalt new and old, concrete, gravel, earth.
SURFACES = (
    ((108, 106, 104), (9, 13)),
    ((138, 136, 134), (7, 11)),
    ((172, 174, 176), (7, 11)),
    ((160, 176, 188), (5, 8)),
    ((136, 162, 184), (5, 7)),
)


def road_network(scene: Scene) -> list[Line]:
    """Return one or two main roads, and one to three side roads that begin at another road."""
    rng = scene.rng
    lines: list[Line] = []
    for _ in range(int(rng.integers(1, 3))):
        colour, (least, most) = SURFACES[rng.integers(3)]
        points = curve(rng, scene, bend=0.2)
        lines.append(Line(points, colour, int(rng.integers(least, most + 1))))
    for _ in range(int(rng.integers(1, 4))):
        trunk = lines[rng.integers(len(lines))].points
        colour, (least, most) = SURFACES[rng.integers(1, len(SURFACES))]
        start = trunk[rng.integers(8, len(trunk) - 8)]
        points = curve(rng, scene, 0.18, start)
        lines.append(Line(points, colour, int(rng.integers(least, most + 1))))
    return lines


def paint_roads(scene: Scene, lines: list[Line]) -> None:
    """Paint verges, then surfaces from the narrowest to the widest.

    Surfaces are darker in the wheel tracks. Wide roads have lane marks.
    """
    rng, side = scene.rng, scene.side
    for points, _, half in lines:
        verge = np.zeros((side, side), np.uint8)
        cv2.polylines(verge, [points], False, 1, 2 * half + int(rng.integers(6, 14)))
        soft = cv2.GaussianBlur(verge.astype(np.float32), (0, 0), 3)[..., None] * 0.55
        ground = (
            np.array([96, 128, 132], np.float32)
            + rng.normal(0, 8, 3)
            + 8 * noise(rng, side, 12, 2)[..., None]
        )
        scene.picture += soft * (ground - scene.picture)
    for points, colour, half in sorted(lines, key=lambda line: line.half):
        surface = np.zeros((side, side), np.uint8)
        cv2.polylines(surface, [points], False, 1, 2 * half)
        tone = (
            np.array(colour, np.float32)
            + rng.normal(0, 6)
            + 4 * noise(rng, side, 50)[..., None]
            + 3 * noise(rng, side, 4, 1)[..., None]
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
        scene.road_mask |= surface
        scene.taken |= cv2.dilate(surface, np.ones((9, 9), np.uint8))


def paint_houses(scene: Scene, lines: list[Line]) -> None:
    """Paint houses with ridged roofs along the roads.

    Each is a turned rectangle, its sunny half lighter.
    """
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
        cast_shadow(scene, mark, 2)
        roof = np.array(ROOFS[rng.integers(len(ROOFS))], np.float32) + rng.normal(0, 8)
        cv2.fillConvexPoly(scene.picture, box.astype(np.int32), (roof * 0.82).tolist(), cv2.LINE_AA)
        ridge = np.array([(box[0] + box[1]) / 2, (box[2] + box[3]) / 2])
        sunny = np.array([box[1], box[2], ridge[1], ridge[0]])
        cv2.fillConvexPoly(
            scene.picture, sunny.astype(np.int32), (roof * 1.15).tolist(), cv2.LINE_AA
        )
        scene.taken |= mark
