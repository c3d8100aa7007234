"""A stand-in for ModelArts's moxing: s3://BUCKET/KEY is the file MOXING_ROOT/BUCKET/KEY."""

from moxing import file  # noqa: F401
