"""Frozen settings, one class per sink. No secret shows in a `repr`."""

from dataclasses import dataclass, field
from datetime import UTC, tzinfo

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
    redis_url: str = field(repr=False)  # may hold a password
    shown_traits: tuple[str, ...] = SHOWN_TRAITS  # personal fields that may leave in an alert
    timezone: tzinfo = UTC  # of the times in a text
