"""Frozen settings, one class per sink. No secret shows in a `repr`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

SHOWN_TRAITS = (
    "name",
    "first_name",
    "last_name",
    "title",
    "company",
    "employees",
    "industry",
    "country",
    "email",
    "phone",
)


@dataclass(frozen=True, slots=True)
class RedisSettings:
    url: str = field(repr=False)  # may hold a password
    transitions_per_lead: int = 50
    feed_length: int = 1000


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """`secrets`: `whsec_` and base64; while rotating, the new one and the old one."""

    url: str = field(repr=False)  # may hold a token
    secrets: tuple[str, ...] = field(repr=False)
    timeout_seconds: float = 20.0
    allow_private: bool = False  # http and addresses of one's own network: for tests and trusted set-ups

    def __post_init__(self) -> None:
        if not self.secrets:
            raise ValueError("webhook: no secret. Set one, whsec_ and 24 or more random bytes in base64.")


@dataclass(frozen=True, slots=True)
class AlertsSettings:
    """`channels`: name -> apprise URL. `fallback_to_terminal`: a channel without settings is the terminal."""

    redis_url: str = field(repr=False)
    channels: Mapping[str, str] = field(default_factory=dict, repr=False)
    fallback_to_terminal: bool = False
    shown_traits: tuple[str, ...] = SHOWN_TRAITS  # personal fields that may leave in an alert
    timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
