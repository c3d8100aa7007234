"""The settings that a job gives to its command."""

from __future__ import annotations

from collections.abc import Mapping

from dlinknet import config


def given_settings(
    name: str, arguments: list[str], environment: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """Return (the settings that a command receives, as text; the other arguments).

    Arguments count before environment variables. Several jobs often share the parameters in
    ModelArts' console, so a setting of another command is no mistake.

    Args:
        name: the command's name, such as 'train'.

    Raises:
        UserError: a value is not one of its setting's.
    """
    given, unknown = config.split(arguments, "")
    names = (*config.TYPES, "config_path")
    variables = {setting: environment[setting] for setting in names if environment.get(setting)}
    for setting, value in variables.items():
        if setting != "config_path":
            config.check(setting, value, "environment variable")
    values = {**variables, **given}
    used = {
        setting: value
        for setting, value in values.items()
        if setting == "config_path" or config.uses(name, setting)
    }
    others = [f"--{setting}={value}" for setting, value in values.items() if setting not in used]
    return used, [*unknown, *others]
