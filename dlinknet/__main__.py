"""`dlinknet COMMAND`, also `python -m dlinknet COMMAND`: the program that runs the commands."""

from __future__ import annotations

import sys

from dlinknet import signals
from dlinknet.errors import UserError, run_command


def run(name: str) -> None:
    """Run a command as a program of its own: signals end it as signals.py says.

    Args:
        name: the command's name, as `dlinknet --help` lists it.
    """
    # The command's file imports slow modules. Signals must be caught before.
    signals.prepare("nothing was written yet" if name == "train" else "")
    run_prepared(name)


def run_prepared(name: str) -> None:
    """Run a command on the arguments of the command line, and exit with its status.

    Args:
        name: the command's name, as `dlinknet --help` lists it.
    """
    from dlinknet.commands.command import find

    def main(arguments: list[str]) -> None:
        from dlinknet.cloud.gate import with_modelarts

        command = find(name)
        if command.output:
            job = with_modelarts(command.main, command.inputs, command.output, name)
            job(arguments)
        else:
            command.main(arguments)

    run_command(main, lambda: find(name).memory)


def program() -> None:
    """Run the command whose name is the first word of the command line."""
    from dlinknet.commands.command import FILES

    sys.argv[0] = "dlinknet"
    if len(sys.argv) > 1 and sys.argv[1] in FILES:
        name = sys.argv.pop(1)
        sys.argv[0] = f"dlinknet {name}"
        run(name)
    else:
        signals.prepare()
        run_command(list_commands)


def list_commands(words: list[str]) -> None:
    """Print the commands, or the version for --version.

    Args:
        words: the command line, which names no known command.

    Raises:
        UserError: the first word is not an option.
    """
    from dlinknet import __version__
    from dlinknet.commands.command import FILES, summary
    from dlinknet.config.command_line import did_you_mean
    from dlinknet.console import columns, show

    if words == ["--version"]:
        show(__version__)
    elif words and words[0] not in ("-h", "--help"):
        meant = did_you_mean(words[0], FILES)
        raise UserError(f"there is no command {words[0]!r}{meant}; dlinknet --help lists them")
    else:
        show("usage: dlinknet COMMAND [--key=value ...]\n")
        show(columns([[name, summary(name)] for name in FILES]))
        show("\ndlinknet COMMAND --help explains the settings of a command.")


if __name__ == "__main__":
    program()
