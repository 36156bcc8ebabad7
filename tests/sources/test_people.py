import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources import people
from sources.people import email_domain, email_kind, phone_kind


@pytest.mark.parametrize(
    ("email", "domain"),
    [
        ("ada@BigBank.example", "bigbank.example"),
        ("  ada+x@mail.bigbank.example ", "mail.bigbank.example"),
        ("ada@bücher.example", "bücher.example"),
        ("ada@localhost", None),
        ("ada", None),
        ("a@b@c.example", None),
        ("Ada <ada@b.example>", None),
        ("a" * 400 + "@b.example", None),
        (None, None),
        (7, None),
    ],
)
def test_the_domain_of_an_address(email: object, domain: str | None) -> None:
    assert email_domain(email) == domain


@pytest.mark.parametrize(
    ("domain", "kind"),
    [
        ("bigbank.example", "business"),
        ("gmail.com", "free"),
        ("qq.com", "free"),
        ("163.com", "free"),
        ("mailinator.com", "disposable"),
        ("x.mailinator.com", "disposable"),
        ("0815.su", "disposable"),  # in both lists: the stricter word counts
    ],
)
def test_the_kind_of_a_mail_domain(domain: str, kind: str) -> None:
    assert email_kind(domain) == kind


def test_a_phone_number_is_judged_where_the_extra_is_installed() -> None:
    pytest.importorskip("phonenumbers", reason="NOT TESTED: the extra `phone` is not installed")
    assert phone_kind("+86 138 0013 8000", None) == "valid"
    assert phone_kind("138 0013 8000", "cn") == "valid"
    assert phone_kind("+86 1", None) == "invalid"
    assert phone_kind("call me", "CN") == "invalid"
    assert phone_kind("138 0013 8000", None) is None, "a national number of an unknown country"
    assert phone_kind("138 0013 8000", "China") is None
    assert phone_kind("", "CN") is None


def test_without_the_extra_no_phone_number_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "_phonenumbers", lambda: None)
    assert phone_kind("+86 138 0013 8000", None) is None


@given(st.text())
def test_no_text_breaks_the_judgement(text: str) -> None:
    domain = email_domain(text)
    assert domain is None or email_kind(domain) in {"business", "free", "disposable"}
    assert phone_kind(text, text) in {"valid", "invalid", None}
