"""Where discord.py finds Discord, which is the same for the whole process."""

import discord
import pytest


def put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is set from now on goes with the test."""
    for owner, name in ((discord.http.Route, "BASE"), (discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY"), (discord.asset.Asset, "BASE")):
        monkeypatch.setattr(owner, name, getattr(owner, name))
