"""Names of the environment variables that override settings, made from the settings class itself. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

from schemas.nearest import did_you_mean

PREFIX = "LEADSTREAM_"
OF_A_FILE = "_FILE"  # at the end of a name: the variable names a file that holds the value
ALIASES = {"KAFKA_BOOTSTRAP_SERVERS": ("kafka", "bootstrap_servers"), "REDIS_URL": ("redis", "url")}

Path = tuple[str, ...]

# Kubernetes gives every container such variables for every service: of one called "leadstream" they begin like ours.
_SERVICE_LINK = re.compile(r"_SERVICE_(HOST|PORT(_\w+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$")
_SERVICE_ADDRESS = re.compile(r"(tcp|udp|sctp)://")


def variables(settings: type) -> Iterator[tuple[str, Path]]:
    """(name, path) of every variable that overrides a value; aliases come last, and win."""
    hints = get_type_hints(settings)
    for section in fields(settings):
        hint = hints[section.name]
        if is_dataclass(hint):
            for key in fields(hint):
                yield f"{PREFIX}{section.name}_{key.name}".upper(), (section.name, key.name)
        else:
            yield f"{PREFIX}{section.name}".upper(), (section.name,)
    yield from ALIASES.items()


def section_of(settings: type, key: str) -> str | None:
    """The section that has this key, if it is the only one."""
    sections = [name for name, hint in get_type_hints(settings).items() if is_dataclass(hint)]
    homes = [name for name in sections if key in get_type_hints(hint_at(settings, (name,)))]
    return homes[0] if len(homes) == 1 else None


def hint_at(settings: type, path: Path) -> Any:
    """The type hint of the value at a path."""
    hint: Any = settings
    for key in path:
        hint = get_type_hints(hint)[key]
    return hint


def unknown_variables(settings: type, environment: Mapping[str, str]) -> list[str]:
    """A line for each variable that begins like ours and names no setting; never with its value, which may be a secret."""
    names = {name for name, _ in variables(settings)} - ALIASES.keys()
    known = names | {name + OF_A_FILE for name in names}
    return [
        f"{name}: no setting has this name.{did_you_mean(name, known, prefix=PREFIX)} "
        f"Write {PREFIX}<SECTION>_<KEY>, by a section and a key of leadstream.toml."
        for name, text in sorted(environment.items())
        if name.startswith(PREFIX) and name not in known and text and not _is_service_link(name, text)
    ]


def _is_service_link(name: str, text: str) -> bool:
    return _SERVICE_LINK.search(name) is not None or _SERVICE_ADDRESS.match(text) is not None
