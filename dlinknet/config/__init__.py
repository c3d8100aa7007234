"""The settings of the commands: defaults, limits, help texts, and the ways to set them."""

from dlinknet.config.defaults import DEFAULT_FILE, defaults, read_values, uses
from dlinknet.config.load import JOB, load, split, wants_job
from dlinknet.config.settings import TYPES, Config, check, default

__all__ = [
    "DEFAULT_FILE",
    "JOB",
    "TYPES",
    "Config",
    "check",
    "default",
    "defaults",
    "load",
    "read_values",
    "split",
    "uses",
    "wants_job",
]
