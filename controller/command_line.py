"""From argv and environment to Settings, with errors that name the setting and what to do about it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence

from pydantic import ValidationError
from pydantic_settings import CliSettingsSource, SettingsError

from controller.settings import ENV_PREFIX, Settings

_SERVICE_LINK = re.compile(r"(_SERVICE_HOST|_SERVICE_PORT(_\w+)?|_PORT|_PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)$")
"""What a kubelet sets for each Service of the namespace: not a misspelt setting of ours."""


class BadSettings(Exception):
    """The process cannot start with these settings; the message has a line for each that is wrong."""


def read_settings(argv: Sequence[str]) -> Settings:
    """Read flags and environment.

    Raises:
        BadSettings: if a setting is wrong.
        SystemExit: for --help, and for flags that do not exist (argparse prints which).
    """
    try:
        source: CliSettingsSource[Settings] = CliSettingsSource(Settings, cli_parse_args=list(argv))
        return Settings(_cli_settings_source=source)  # type: ignore[call-arg]
    except ValidationError as error:
        raise BadSettings(explain(error)) from None
    except SettingsError as error:
        raise BadSettings(str(error)) from None


def explain(error: ValidationError) -> str:
    """One line for each wrong setting: its flag, its variable, what is wrong, what it was."""
    lines = []
    for problem in error.errors(include_url=False):
        message = problem["msg"].removeprefix("Value error, ")
        if not problem["loc"]:
            lines.append(message)
            continue
        name = str(problem["loc"][0])
        inside = "".join(f"[{part}]" for part in problem["loc"][1:] if part != "[key]")
        field = Settings.model_fields.get(name)
        lines.append(
            f"{flag(name)}{inside} ({ENV_PREFIX}{name.upper()}): {message}; it is {problem['input']!r}"
            + (f". Meaning: {field.description}" if field and field.description else "")
        )
    return "\n".join(lines)


def flag(name: str) -> str:
    """The flag of a setting."""
    return "--" + name.replace("_", "-")


def unknown_variables(environment: Mapping[str, str]) -> dict[str, str | None]:
    """Variables with our prefix that are no setting, each with the setting that was probably meant."""
    known = {ENV_PREFIX + name.upper() for name in Settings.model_fields}
    strangers = [
        name
        for name in environment
        if name.startswith(ENV_PREFIX) and name not in known and not _SERVICE_LINK.search(name)
    ]
    return {name: next(iter(difflib.get_close_matches(name, known, n=1)), None) for name in sorted(strangers)}
