"""Time zones from the pinned `tzdata` package: the machine's own data may differ, and windows must not."""

from datetime import date, datetime, timedelta
from functools import lru_cache
from importlib import resources
from zoneinfo import ZoneInfo


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    return frozenset(resources.files("tzdata").joinpath("zones").read_text("utf-8").split())


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    """The zone of an IANA name.

    Raises:
        KeyError: there is no such zone.
    """
    if name not in zone_names():
        raise KeyError(name)
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def day_start_ms(day: date, zone_name: str, days_later: int = 0) -> int:
    """Midnight that begins the day, ms UTC."""
    start = datetime.combine(day + timedelta(days=days_later), datetime.min.time(), tzinfo=zone(zone_name))
    return round(start.timestamp() * 1000)
