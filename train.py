"""Train a network: python train.py --help."""

from dlinknet.__main__ import run

if __name__ == "__main__":
    run("train")
