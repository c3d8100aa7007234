"""What tells one data set from another: a resumed run must have the data that it began with."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import Any, Optional

from dlinknet.data.class_table import ClassTable
from dlinknet.data.classes import Classes, names_unlike
from dlinknet.data.pairs import Pair
from dlinknet.data.read_table import parse_classes
from dlinknet.data.roads import ROADS
from dlinknet.errors import name_some
from dlinknet.files.fields import BadFields, Fields


@dataclass(frozen=True)
class DataIdentity:
    """What tells one data set from another.

    train, valid: the IDs of both parts. files: the SHA-256 of all files' sizes in bytes, in
    hexadecimal digits. classes: the class table; None for roads.
    """

    train: tuple[str, ...]
    valid: tuple[str, ...]
    files: str
    classes: Optional[ClassTable]

    @classmethod
    def from_fields(cls, fields: Fields) -> DataIdentity:
        """Return the identity that a checkpoint's text holds; BadFields if it is not one."""
        try:
            classes = parse_classes(fields.value("classes")) if "classes" in fields else None
        except (LookupError, TypeError, ValueError) as error:
            raise BadFields(f"data.classes: {error}") from None
        return cls(
            tuple(fields.texts("train")),
            tuple(fields.texts("valid")),
            fields.text("files"),
            classes,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the identity as JSON holds it."""
        return {
            "train": list(self.train),
            "valid": list(self.valid),
            "files": self.files,
            "classes": self.classes and self.classes.to_dict(),
        }


def data_identity(
    training: list[Pair], validation: list[Pair], classes: Classes = ROADS
) -> DataIdentity:
    """Return what tells this data set from another."""
    sizes = "".join(
        f"{pair.id} {os.path.getsize(pair.image)} {os.path.getsize(pair.mask)}\n"
        for pair in [*training, *validation]
    )
    return DataIdentity(
        tuple(pair.id for pair in training),
        tuple(pair.id for pair in validation),
        hashlib.sha256(sizes.encode()).hexdigest(),
        classes.table,
    )


def other_data(saved: DataIdentity, now: DataIdentity) -> list[str]:
    """Return what differs between two data sets, in words; nothing if they are equal."""
    unlike = []
    if saved.classes != now.classes:
        before, after = (
            [each.name for each in identity.classes.listed] if identity.classes else ["road"]
            for identity in (saved, now)
        )
        unlike.append(
            names_unlike(before, after, "run")
            or "the class table has other values, colours or another void"
        )
    for old, new_ids, name in (
        (saved.train, now.train, "training"),
        (saved.valid, now.valid, "validation"),
    ):
        gone, new = sorted(set(old) - set(new_ids)), sorted(set(new_ids) - set(old))
        if gone:
            unlike.append(f"{len(gone)} {name} images are missing ({name_some(gone, 3)})")
        if new:
            unlike.append(f"{len(new)} {name} images are new ({name_some(new, 3)})")
    if not unlike and saved.files != now.files:
        unlike.append("the images have their old IDs, but the files have other sizes")
    return unlike
