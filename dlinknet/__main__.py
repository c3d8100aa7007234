"""`dlinknet COMMAND`, also `python -m dlinknet COMMAND`: runs the commands of dlinknet/commands."""

from __future__ import annotations

import sys

from dlinknet import signals
from dlinknet.errors import UserError, run_command


def run(name: str) -> None:
    """Run a command on the words of the command line, and end the process with its status.

    Args:
        name: as `dlinknet --help` lists it.
    """
    signals.prepare("nothing was written yet" if name == "train" else "")
    # The command's file imports what takes long: signals are caught before.
    from dlinknet.cloud.gate import as_job
    from dlinknet.commands.command import find

    command = find(name)
    main = command.main
    if command.output:
        main = as_job(main, command.inputs, command.output, name)
    run_command(main, command.memory)


def program() -> None:
    """Run the command that the first word of the command line names."""
    from dlinknet.commands.command import FILES

    sys.argv[0] = "dlinknet"
    if len(sys.argv) > 1 and sys.argv[1] in FILES:
        name = sys.argv.pop(1)
        sys.argv[0] = f"dlinknet {name}"
        run(name)
    else:
        signals.prepare()
        run_command(_list_commands)


def _list_commands(words: list[str]) -> None:
    """Print which commands there are, or the version."""
    from dlinknet import __version__
    from dlinknet.commands.command import FILES, summary
    from dlinknet.config.command_line import nearest
    from dlinknet.console import columns, show

    if words == ["--version"]:
        show(__version__)
    elif words and words[0] not in ("-h", "--help"):
        meant = nearest(words[0], FILES)
        raise UserError(f"there is no command {words[0]!r}{meant}; dlinknet --help lists them")
    else:
        show("usage: dlinknet COMMAND [--key=value ...]\n")
        show(columns([[name, summary(name)] for name in FILES]))
        show("\ndlinknet COMMAND --help explains the settings of a command.")


if __name__ == "__main__":
    program()
