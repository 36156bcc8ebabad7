import pytest

from streams.doctor.channels import check_channels
from streams.finding import Finding
from streams.settings.config import Channel

# Apprise 2.2 loads a plugin that imports a module which Python 3.13 removed, behind a guard.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


def test_urls_that_apprise_cannot_read_are_failures_without_the_url() -> None:
    channels = {
        "sales": Channel("json://hooks.acme.example/t0ken"),
        "ops": Channel("slak://t0ken"),
        "none": Channel(""),
    }
    ops, none, usable = check_channels({**channels, "here": Channel("terminal:")})
    assert (ops.level, none.level) == ("fail", "fail")
    assert "channel 'ops'" in ops.what
    assert ops.fix == "channels.ops.url, or url_file"
    assert usable == Finding("ok", "alerts: sales, here can be used, as far as the URL tells; nothing was sent")
    assert "t0ken" not in str([ops, none, usable])


def test_without_channels_there_is_nothing_to_say() -> None:
    assert check_channels({}) == []
