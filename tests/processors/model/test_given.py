from processors.model import event_from_fields, known_traits
from schemas.codec import decode, encode


def test_the_fields_of_a_condition_become_an_event_of_the_contract() -> None:
    event = event_from_fields(
        {
            "event": "webinar_attended",
            "url": "https://acme.example/w",
            "seconds": 5.0,
            "click_id": "gclid",
            "source": "website",
            "utm.campaign": "spring",
            "webinar.attended_minutes": 20.0,
            "webinar.attended_share": 0.5,
            "properties.topic": "x",
            "traits.country": "CN",
            "traits.email_kind": "free",
        },
        1000,
        "e1",
    )
    assert decode(encode("TrackedEvent", event)) == ("TrackedEvent", event)
    assert (event["event_id"], event["type"], event["occurred_at"]) == ("e1", "webinar_attended", 1000)
    assert event["webinar"] == {"id": None, "title": None, "attended_seconds": 1200.0, "length_seconds": 2400.0}
    assert event["campaign"] is not None
    assert event["campaign"]["name"] == "spring"
    assert (event["traits"], event["email_kind"]) == ({"country": "CN"}, "free")
    assert event["source"] == {"library": None, "version": None, "key": "website"}


def test_an_act_without_fields_is_an_event_of_the_contract() -> None:
    event = event_from_fields({"event": "download"}, 0)
    assert decode(encode("TrackedEvent", event))[1] == event


def test_an_email_of_a_test_is_a_business_address_unless_it_says_otherwise() -> None:
    assert known_traits({"email": "ada@Big.example", "title": "CTO"}) == {
        "email": "ada@Big.example",
        "title": "CTO",
        "email_kind": "business",
        "email_domain": "big.example",
    }
    assert known_traits({"email": "a@b.example", "email_kind": "free"})["email_kind"] == "free"
    assert known_traits({"phone": "+4930123"})["phone_kind"] == "valid"
