"""What the invented site shows, on the hosts that the reference model knows."""

from typing import Final, NamedTuple


class Page(NamedTuple):
    url: str
    title: str


_WWW: Final = "https://www.acme.example"
_DOCS: Final = "https://docs.acme.example"

HOME: Final = Page(f"{_WWW}/", "Acme: know your customers")
PRICING: Final = Page(f"{_WWW}/pricing", "Pricing")
TOUR: Final = Page(f"{_WWW}/product/tour", "Product tour")
DEMO_FORM: Final = Page(f"{_WWW}/demo", "See a demo")
CONTACT_FORM: Final = Page(f"{_WWW}/contact", "Talk to us")
WEBINAR: Final = Page(f"{_WWW}/webinars/one-customer-view", "Webinar: one view of the customer")
WECHAT: Final = Page("https://mp.weixin.qq.com/s/acme-growth", "Growth without guessing")
PRODUCT: Final = (
    TOUR,
    Page(f"{_WWW}/product/data-platform", "Data platform"),
    Page(f"{_WWW}/product/audiences", "Audiences"),
    Page(f"{_WWW}/product/integrations", "Integrations"),
)
STORIES: Final = (
    Page(f"{_WWW}/customers/paper-crane", "How Paper Crane halved its churn"),
    Page(f"{_WWW}/customers/kestrel-pumps", "Kestrel Pumps meets its buyers"),
)
ARTICLES: Final = (
    Page(f"{_WWW}/blog/first-party-data", "First-party data, plainly"),
    Page(f"{_WWW}/blog/scoring-that-fades", "Scoring that fades"),
    Page(f"{_WWW}/blog/attribution-honestly", "Attribution, honestly"),
)
DOCS: Final = (
    Page(f"{_DOCS}/quickstart", "Quickstart"),
    Page(f"{_DOCS}/api/events", "Events API"),
    Page(f"{_DOCS}/guides/identity", "Identity guide"),
    Page(f"{_DOCS}/guides/webhooks", "Webhooks guide"),
)
CAREERS: Final = (
    Page(f"{_WWW}/careers", "Work with us"),
    Page(f"{_WWW}/careers/designer", "Product designer"),
)
PAPERS: Final = ("data-platform-guide.pdf", "customer-view-white-paper.pdf", "roi-worksheet.pdf")

# How a visit begins: the query of the landing page, and the referrer.
PAID_SEARCH: Final = (
    "?utm_source=google&utm_medium=cpc&utm_campaign=2026-spring-brand&utm_term=customer+data&gclid=",
    "https://www.google.com/",
)
JOB_SEARCH: Final = (
    "?utm_source=google&utm_medium=cpc&utm_campaign=hiring&utm_term=design+jobs",
    "https://www.google.com/",
)
NEWSLETTER: Final = ("?utm_source=newsletter&utm_medium=email&utm_campaign=2026-spring-invite", "")
SEARCH: Final = ("", "https://www.google.com/")
SOCIAL: Final = ("?utm_source=linkedin&utm_medium=social&utm_campaign=2026-spring-stories", "https://www.linkedin.com/")
DIRECT: Final = ("", "")
