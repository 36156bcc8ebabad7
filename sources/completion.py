"""The last step of every mapping: what is derived from an event's own fields, its place in time, and its key."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Final

from schemas.keys import lead_key
from schemas.records import Scalar, TrackedEvent
from sources.attribution import campaign_of, click_id_of, query_of
from sources.bots import is_bot
from sources.client_address import truncated_ip
from sources.outcomes import Accepted, Arrival, ItemError
from sources.people import DERIVED_TRAITS, email_domain, email_kind, phone_kind
from sources.times import occurred_at, parse_time_ms

MAX_URL_CHARACTERS: Final = 2_048
MAX_EVENT_ID_CHARACTERS: Final = 256


def random_event_id() -> str:
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class Completion:
    """`secret` keys the hash of an e-mail that has to serve as a lead key; `new_event_id` names acts that came without
    an id, so that a record written twice still counts once.
    """

    secret: bytes
    new_event_id: Callable[[], str] = random_event_id

    def complete(self, event: TrackedEvent, arrival: Arrival, said_at: object, campaign: dict[str, Any]) -> None:
        """Fill in, in place, what the receiver decides; what a client sent under those names is overwritten."""
        event["event_id"] = self._event_id(event["event_id"])
        _place_in_time(event, arrival, said_at)
        query = query_of(event.get("url"))
        event["campaign"] = campaign_of(campaign, query)
        event["click_id"] = event.get("click_id") or click_id_of(query)
        event["url"] = _cut_url(event.get("url"))
        event["referrer"] = _cut_url(event.get("referrer"))
        event["ip"] = truncated_ip(arrival.ip)
        _describe_person(event)

    def accept(self, event: TrackedEvent, cut: int) -> Accepted:
        """Raises:
        ItemError: `no_lead_key`, where no id can be used.
        """
        email = (event.get("traits") or {}).get("email")
        key = lead_key(
            event.get("anonymous_id"),
            event.get("user_id"),
            email if isinstance(email, str) and email_domain(email) else None,
            self.secret,
        )
        if key is None:
            raise ItemError(
                "no_lead_key",
                "no anonymous id, user id or e-mail in the traits that names one visitor "
                "(ids such as null, -1 or anonymous do not, nor do more than 256 characters)",
            )
        return Accepted(event, key, cut)

    def _event_id(self, said: str) -> str:
        if not said:
            return self.new_event_id()
        return said if len(said) <= MAX_EVENT_ID_CHARACTERS else blake2b(said.encode(), digest_size=16).hexdigest()


def _cut_url(url: str | None) -> str | None:
    return url[:MAX_URL_CHARACTERS] if url else None


def _place_in_time(event: TrackedEvent, arrival: Arrival, said_at: object) -> None:
    received_at = arrival.received_at
    if received_at is None:  # a played file: its own time is all there is
        received_at = parse_time_ms(said_at)
        if received_at is None:
            found = "it has none" if said_at is None else f"{said_at!r:.80} is none"
            raise ItemError("bad_event", f"in a file an event needs a time in occurred_at or timestamp; {found}")
        arrival = replace(arrival, sent_at=None)
    at, late, clamped = occurred_at(said_at, arrival.sent_at, received_at)
    event["occurred_at"], event["received_at"] = at, received_at
    event["flags"] = {"bot": event["flags"]["bot"] or is_bot(arrival.user_agent), "late": late, "clamped": clamped}


def _describe_person(event: TrackedEvent) -> None:
    traits: dict[str, Scalar] = {
        name: value
        for name, value in (event.get("traits") or {}).items()
        if name.strip().casefold() not in DERIVED_TRAITS
    }
    event["traits"] = traits or None
    domain = email_domain(traits.get("email"))
    event["email_domain"] = domain
    event["email_kind"] = email_kind(domain) if domain else None
    event["phone_kind"] = phone_kind(traits.get("phone"), traits.get("country"))
