"""Discord delivers each interaction twice, as it may after a broken connection."""

import pytest

from bot.localdiscord import File
from bot.localdiscord.events import Event
from tests.cogs.town import TIMEOUT_S, Town


@pytest.fixture
def twice(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    emit = town.world.events.emit

    def emit_twice(event: Event) -> None:
        emit(event)
        if event.name == "INTERACTION_CREATE":
            emit(event)

    monkeypatch.setattr(town.world.events, "emit", emit_twice)


@pytest.mark.usefixtures("twice")
@pytest.mark.fault(18)
async def test_a_command_and_a_button_that_come_twice_count_once(town: Town) -> None:
    """A command or a click that Discord delivers twice is one job, one post, one answer."""
    reply = await town.alice.slash(
        "train", {"handle": "@wren", "archive": File("tweets.txt", b"a tweet"), "consent": "own"}, channel=town.channel
    )
    shown = await reply.done(TIMEOUT_S)
    assert "Queued" in shown.content
    assert len(await town.app.queue.list(town.guild.id)) == 1
    cancelled = await (await town.alice.click(shown, "Cancel")).done(TIMEOUT_S)
    assert "is cancelled" in cancelled.content

    await town.add_character()
    said = await (await town.alice.slash("say", {"character": "heron", "prompt": "My"}, channel=town.channel)).done(TIMEOUT_S)
    assert said.content.startswith("Said")
    [post] = [message for message in town.alice.read(town.channel) if message.is_webhook]
    await (await town.alice.click(post, "Again")).done(TIMEOUT_S)
    assert sum(message.is_webhook for message in town.alice.read(town.channel)) == 2
