"""The settings of the commands: their defaults, limits and help texts, and how a command line and a YAML file set them."""
from dlinknet.config.settings import (
    DEFAULT_FILE,
    JOB,
    TYPES,
    Config,
    check,
    default,
    load,
    read_values,
    split,
    uses,
    wants_job,
)

__all__ = ["DEFAULT_FILE", "JOB", "TYPES", "Config", "check", "default", "load", "read_values", "split", "uses", "wants_job"]
