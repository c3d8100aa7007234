"""The identity of a data set: a resumed run must have the data with which it began."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import Any

from dlinknet.data.class_table import ClassTable, table_of
from dlinknet.data.classes import Classes, names_unlike
from dlinknet.data.pairs import Pair
from dlinknet.data.read_table import parse_classes
from dlinknet.data.roads import ROADS
from dlinknet.errors import name_some
from dlinknet.files.fields import BadFields, Fields


@dataclass(frozen=True)
class DataIdentity:
    """The facts that tell one data set from another.

    train, valid: the IDs of both parts. files: the SHA-256 of the files' sizes, in hexadecimal
    digits. classes: the class table; None for roads.
    """

    train: tuple[str, ...]
    valid: tuple[str, ...]
    files: str
    classes: ClassTable | None

    @classmethod
    def from_dict(cls, values: Any) -> DataIdentity:
        """Return the identity in the dict that `to_dict` made, a checkpoint's `data`.

        Raises:
            BadFields: a key is missing, or its value is of a wrong type or no class table.
        """
        fields = Fields(values, "data")
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
        """Return the identity as a dict for JSON."""
        return {
            "train": list(self.train),
            "valid": list(self.valid),
            "files": self.files,
            "classes": self.classes and self.classes.to_dict(),
        }


def data_identity(
    training: list[Pair], validation: list[Pair], classes: Classes = ROADS
) -> DataIdentity:
    """Return the identity of a data set.

    Args:
        training, validation: the pairs of both parts.
        classes: the classes of their masks.

    Raises:
        OSError: the size of a file cannot be read.
    """
    sizes = "".join(
        f"{pair.id} {os.path.getsize(pair.image)} {os.path.getsize(pair.mask)}\n"
        for pair in [*training, *validation]
    )
    return DataIdentity(
        tuple(pair.id for pair in training),
        tuple(pair.id for pair in validation),
        hashlib.sha256(sizes.encode()).hexdigest(),
        table_of(classes),
    )


def data_differences(saved: DataIdentity, now: DataIdentity) -> list[str]:
    """Return the differences between two data sets in words; an empty list if they are equal.

    Args:
        saved: the data set of a run's checkpoint.
        now: the data set with which the run would continue.
    """
    differences = []
    if saved.classes != now.classes:
        before, after = (
            [each.name for each in identity.classes.listed] if identity.classes else ["road"]
            for identity in (saved, now)
        )
        differences.append(
            names_unlike(before, after, "run")
            or "the class table has other values, colours or another void"
        )
    for old, new_ids, name in (
        (saved.train, now.train, "training"),
        (saved.valid, now.valid, "validation"),
    ):
        gone, new = sorted(set(old) - set(new_ids)), sorted(set(new_ids) - set(old))
        if gone:
            differences.append(f"{len(gone)} {name} images are missing ({name_some(gone, 3)})")
        if new:
            differences.append(f"{len(new)} {name} images are new ({name_some(new, 3)})")
    if not differences and saved.files != now.files:
        differences.append("the images have their old IDs, but the files have other sizes")
    return differences
