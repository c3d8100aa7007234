"""Predict images: python predict.py --help."""

from dlinknet.__main__ import run

if __name__ == "__main__":
    run("predict")
