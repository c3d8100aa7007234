"""The commands, one file each: read the settings, build the parts, run them."""
