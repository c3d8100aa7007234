"""Make the rank table of an Ascend server, or read one.

--devices=0-7 makes a table. Without --devices the command reads the table. Either way it prints the
ranks that run on this machine.
"""

from dlinknet import config, console
from dlinknet.commands.command import Command
from dlinknet.devices.rank_table import make_rank_table, places_here, read_rank_table
from dlinknet.errors import UserError, naming


def main(arguments: list[str]) -> None:
    """Run the command on its arguments."""
    settings = config.load(arguments, __doc__, command="rank-table")
    if not settings.rank_table:
        raise UserError("rank_table is empty: name a file with --rank_table=FILE")
    if settings.devices:
        with naming("rank_table"):
            places = make_rank_table(settings.rank_table, settings.devices, settings.server_ip)
    else:
        places = read_rank_table(settings.rank_table)
    here = places_here(places, settings.rank_table)
    console.show(
        "\n".join(f"rank {place.rank} of {len(places)} on device {place.device}" for place in here)
    )


COMMAND = Command(main)
