"""Print the parameters, multiply-adds and activations of each layer of a network.

The figures are for one image of --width x --height pixels.
"""

from dlinknet import config, console
from dlinknet.commands.command import Command
from dlinknet.commands.data_sets import classes_of
from dlinknet.devices import runtime


def main(arguments: list[str]) -> None:
    """Run the command on its arguments."""
    settings = config.load(arguments, __doc__, command="profile")
    console.start_log()
    runtime.start("CPU", 0, settings.seed)
    runtime.run_eagerly()
    from dlinknet.models import build
    from dlinknet.models.profile import as_json, as_table, layers, totals

    padding = "explicit" if settings.encoder_padding == "auto" else settings.encoder_padding
    outputs = classes_of(settings).outputs
    network = build(settings.model_name, outputs, padding=padding, decoder=settings.decoder)
    found = layers(network, settings.height, settings.width)
    if settings.as_json:
        console.show(as_json(settings.model_name, found, settings.height, settings.width))
        return
    sums = totals(found)
    console.show(as_table(found))
    console.show(
        f"{settings.model_name}, one image of {settings.width}x{settings.height}: "
        f"{sums['parameters'] / 1e6:.6f} M parameters, "
        f"{sums['multiply_adds'] / 1e9:.6f} G multiply-adds (the LinkNet notebook's GFLOPs, "
        f"without transposed convolutions: {sums['notebook_flops'] / 1e9:.9f}), "
        f"{sums['activation_bytes'] / 1e6:.1f} MB of activations in float32"
    )


COMMAND = Command(main, memory="--width or --height")
