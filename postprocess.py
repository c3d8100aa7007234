"""Score what the Ascend 310 program wrote: python postprocess.py --help."""

from dlinknet.__main__ import run

if __name__ == "__main__":
    run("postprocess")
