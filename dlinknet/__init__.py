"""Road extraction from satellite and aerial images: D-LinkNet and LinkNet on MindSpore.

    import dlinknet

    model = dlinknet.load("roads_best.ckpt")
    result = model.predict("scene.tif")
    result.save("results")

Importing this package imports neither MindSpore nor OpenCV. The names below are loaded at their
first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlinknet import models as models
    from dlinknet.api import Model as Model
    from dlinknet.api import Prediction as Prediction
    from dlinknet.api import load as load
    from dlinknet.errors import InputError as InputError

__version__ = "1.0.0"
__all__ = ["InputError", "Model", "Prediction", "__version__", "load", "models"]

_HOMES = {
    "InputError": "dlinknet.errors",
    "Model": "dlinknet.api",
    "Prediction": "dlinknet.api",
    "load": "dlinknet.api",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "models":
        return import_module("dlinknet.models")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'dlinknet' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
