"""Who visits the site. Every person, company and address is invented; the domains cannot exist (RFC 2606)."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Final, NamedTuple

from schemas.records import Scalar


class Company(NamedTuple):
    name: str
    employees: int
    industry: str
    country: str

    @property
    def domain(self) -> str:
        return "".join(letter for letter in self.name.casefold() if letter.isalpha()) + ".example"


COMPANIES: Final = (
    Company("Blue Lantern Bank", 4_200, "finance", "SG"),
    Company("Jade River Insurance", 9_800, "finance", "CN"),
    Company("Kestrel Pumps", 640, "manufacturing", "DE"),
    Company("Paper Crane Logistics", 1_350, "logistics", "HK"),
    Company("Moonrise Robotics", 280, "manufacturing", "TW"),
    Company("Copper Fox Retail", 2_100, "retail", "GB"),
    Company("Nine Bridges Steel", 5_600, "manufacturing", "CN"),
    Company("Tidewater Clinics", 900, "health", "US"),
    Company("Saffron Mutual", 1_150, "finance", "IN"),
    Company("Glass Harbour Hotels", 3_300, "travel", "SG"),
    Company("Quiet Forest Foods", 420, "manufacturing", "SE"),
    Company("Silver Tram Media", 75, "media", "FR"),
    Company("Amber Hill Capital", 230, "finance", "HK"),
    Company("Westering Airlines", 7_400, "travel", "US"),
    Company("Little Anvil Software", 38, "software", "US"),
    Company("Plum Orchard Schools", 160, "education", "GB"),
)
UNIVERSITIES: Final = (
    Company("University of Nowhere", 2_000, "education", "US"),
    Company("Far Island College", 300, "education", "GB"),
)
# Title, and how many of ten who buy carry it.
_BUYER_TITLES: Final = (
    ("CTO", 1),
    ("CMO", 1),
    ("VP Marketing", 1),
    ("Director of Data", 2),
    ("Head of Growth", 2),
    ("Marketing Manager", 2),
    ("Analyst", 1),
)
# fmt: off
_FIRST_NAMES: Final = (
    "Amara", "Bjorn", "Chen", "Dalia", "Emeka", "Freya", "Gustav", "Hana", "Idris", "Jolene", "Kenji", "Leila", "Mateo",
    "Nadia", "Oskar", "Priya", "Quentin", "Rosa", "Sanjay", "Tomoko", "Ulla", "Viktor", "Wei", "Ximena", "Yusuf", "Zofia",
)
_LAST_NAMES: Final = (
    "Ashgrove", "Birchfield", "Cloudsley", "Dewpoint", "Emberley", "Fairwater", "Greenhalt", "Hollowell", "Inkwell",
    "Juniper", "Kettleby", "Lanternby", "Mossley", "Nightjar", "Oakhurst", "Pennyfeather", "Quillon", "Rainford",
    "Starling", "Thistledown", "Underhay", "Vellum", "Windrush", "Yarrow",
)
# fmt: on
_BROWSERS: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/144.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:146.0) Gecko/20100101 Firefox/146.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
)
CRAWLER: Final = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


@dataclass(frozen=True, slots=True)
class Visitor:
    """A browser and whoever sits at it. `traits` are what a form would ask; empty for somebody who never fills one in."""

    anonymous_id: str
    user_agent: str
    ip: str
    traits: Mapping[str, Scalar]
    user_id: str | None = None


def stranger(rng: Random, user_agent: str | None = None) -> Visitor:
    return Visitor(
        anonymous_id=f"{rng.getrandbits(128):032x}",
        user_agent=user_agent or rng.choice(_BROWSERS),
        ip=f"{rng.choice(('192.0.2', '198.51.100', '203.0.113'))}.{rng.randrange(1, 255)}",
        traits={},
    )


def buyer(rng: Random) -> Visitor:
    titles, weights = zip(*_BUYER_TITLES, strict=True)
    return _person(rng, rng.choice(COMPANIES), rng.choices(titles, weights)[0])


def student(rng: Random) -> Visitor:
    return _person(rng, rng.choice(UNIVERSITIES), "Student")


def job_seeker(rng: Random) -> Visitor:
    return _person(rng, rng.choice(COMPANIES), "Designer")


def customer(rng: Random) -> Visitor:
    """Signed in, so the site knows the user id."""
    return _person(rng, rng.choice(COMPANIES), rng.choice(("Engineer", "Analyst", "Administrator")), signed_in=True)


def _person(rng: Random, company: Company, title: str, *, signed_in: bool = False) -> Visitor:
    first, last = rng.choice(_FIRST_NAMES), rng.choice(_LAST_NAMES)
    traits: dict[str, Scalar] = {
        "name": f"{first} {last}",
        "email": f"{first}.{last}@{company.domain}".casefold(),
        "title": title,
        "company": company.name,
        "employees": company.employees,
        "industry": company.industry,
        "country": company.country,
    }
    if company.country == "GB":  # numbers that Ofcom keeps free for drama
        traits["phone"] = f"+4420794609{rng.randrange(100):02d}"
    browser = stranger(rng)
    user_id = f"u-{rng.getrandbits(32):08x}" if signed_in else None
    return Visitor(browser.anonymous_id, browser.user_agent, browser.ip, traits, user_id)
