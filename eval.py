"""Score a trained network: python eval.py --help."""

from dlinknet.__main__ import run

if __name__ == "__main__":
    run("eval")
