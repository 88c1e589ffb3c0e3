"""Servers that an account names: only those of the public internet are asked."""

import pytest

from bot.tweets.strangers import public_connector, public_name


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://morel.us-east.host.bsky.network", "morel.us-east.host.bsky.network"),
        ("https://pds.example.com/", "pds.example.com"),
        ("https://127.0.0.1", None),
        ("https://[::1]", None),
        ("https://user@pds.example.com", None),
        ("https://pds.example.com:444", None),
        ("ftp://pds.example.com", None),
        ("https://intranet", None),
        ("https://router.home", None),
        ("https://2130706433", None),
        ("https://[::1", None),
        (None, None),
    ],
)
def test_only_servers_of_the_public_internet_are_asked(address: object, host: str | None) -> None:
    assert public_name(address) == host


async def test_a_public_name_that_leads_into_a_private_network_is_not_followed() -> None:
    connector = public_connector()
    with pytest.raises(OSError, match="no public address"):
        await connector._resolver.resolve("localhost", 443)
    await connector.close()
