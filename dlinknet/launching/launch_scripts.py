"""The scripts run_*.sh: python -m dlinknet.launching.launch_scripts DEVICE KIND ARGUMENT ..."""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Callable

from dlinknet.errors import run_command
from dlinknet.launching import distribute_scripts, infer_310, standalone_scripts
from dlinknet.launching.script_arguments import Arguments, parse
from dlinknet.launching.script_usages import usage_of

KINDS: dict[str, Callable[[str, Arguments], None]] = {
    "standalone_train": standalone_scripts.train,
    "standalone_eval": standalone_scripts.evaluate,
    "distribute_train": distribute_scripts.train,
    "infer_310": infer_310.infer,
}


def script_name(device: str, kind: str) -> str:
    """Return the name of a script's file."""
    first, last = kind.split("_")
    middle = "" if kind == "infer_310" else f"{device.lower()}_"
    return f"run_{first}_{middle}{last}.sh"


def main() -> None:
    """Run the script that the first two words name, and exit with its status."""
    device, kind, *words = sys.argv[1:]
    script = script_name(device, kind)
    sys.argv = [script, *words]  # errors begin with its name
    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # as in a shell: no traceback
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # else it is closed
            stream.reconfigure(errors="surrogateescape")  # a folder's name may be any bytes
    usage = usage_of(device, kind)
    run_command(lambda arguments: KINDS[kind](device, parse(script, usage, arguments)))


if __name__ == "__main__":
    main()
