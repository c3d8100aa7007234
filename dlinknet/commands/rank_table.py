"""Make the rank table of an Ascend server, or read one.

--devices=0-7 makes a table. Without --devices the command reads the table. Either way it prints the
ranks that run on this machine.
"""

from dlinknet import config, console
from dlinknet.commands.command import Command
from dlinknet.devices.rank_table import places_here, read_rank_table
from dlinknet.devices.server_rank_table import find_devices, make_rank_table
from dlinknet.errors import UserError, naming


def main(arguments: list[str]) -> None:
    """Run the command on its arguments."""
    settings = config.load(arguments, __doc__, command="rank-table")
    file = settings.rank_table
    if not file:
        raise UserError("rank_table is empty: name a file with --rank_table=FILE")
    devices = {}
    if settings.devices:
        with naming("devices"):
            devices = find_devices(settings.devices)
    with naming("rank_table"):
        if devices:
            ranks = make_rank_table(file, devices, settings.server_ip)
        else:
            ranks = read_rank_table(file)
        here = places_here(ranks, file)
    console.show(
        "\n".join(f"rank {each.rank} of {len(ranks)} on device {each.device}" for each in here)
    )


COMMAND = Command(main)
