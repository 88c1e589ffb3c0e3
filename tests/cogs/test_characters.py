"""/say and /character as people use them; a parrot speaks for the models."""

from bot.localdiscord import Message
from tests.cogs.town import TIMEOUT_S, Town, said

# /say


async def test_a_character_speaks_and_the_asker_is_told(town: Town) -> None:
    await town.add_character()
    reply = await town.alice.slash("say", {"character": "heron", "prompt": "My", "count": 3, "seed": 7}, channel=town.channel)
    answer = await said(reply)
    assert reply.ephemeral
    assert [f"seed {seed}" in answer for seed in (7, 8, 9)] == [True] * 3
    posts = [message for message in town.alice.read(town.channel) if message.is_webhook]
    assert [post.author_name for post in posts] == ["Heron (AI)"] * 3
    assert [post.content for post in posts] == [f"My parrot {seed}\n-# AI · not written by @heron" for seed in (7, 8, 9)]


async def test_a_character_that_is_not_there_is_told_with_those_that_are(town: Town) -> None:
    await town.add_character()
    assert "@heron" in await said(await town.alice.slash("say", {"character": "egret"}, channel=town.channel))


async def test_characters_are_offered_while_typing(town: Town) -> None:
    await town.add_character()
    await town.add_character("egret", "Egret")
    for typed, handles in (("", ["egret", "heron"]), ("her", ["heron"]), ("@eg", ["egret"]), ("x", [])):
        choices = await town.alice.autocomplete("say", {"character": typed}, focused="character", channel=town.channel)
        assert [choice.value for choice in choices] == handles


async def spoken(town: Town) -> Message:
    await town.add_character()
    await said(await town.alice.slash("say", {"character": "heron", "prompt": "My"}, channel=town.channel))
    return town.alice.read(town.channel)[-1]


async def test_again_says_another(town: Town) -> None:
    first = await spoken(town)
    assert "Said" in await said(await town.alice.click(first, "Again"))
    posts = [message for message in town.alice.read(town.channel) if message.is_webhook]
    assert len(posts) == 2
    assert posts[1].content.startswith("My parrot")


async def test_why_this_explains_to_the_one_who_asks(town: Town) -> None:
    reply = await town.mayor.click(await spoken(town), "Why this?")
    answer = await said(reply)
    assert reply.ephemeral
    for part in ("version 1", "nano", "rank 8", "My", "1000", "a parrot was here", "50%", "dull words", "repeat"):
        assert part in answer


async def test_a_post_is_deleted_by_the_one_who_asked_and_by_managers_only(town: Town) -> None:
    post = await spoken(town)
    assert "Manage Server" in await said(await town.world.user("stranger").click(post, "Delete"))
    assert "Deleted" in await said(await town.alice.click(post, "Delete"))
    assert post.id not in town.channel.messages


# /character


async def test_characters_are_listed_and_described(town: Town) -> None:
    assert "/train" in await said(await town.alice.slash("character list", channel=town.channel))
    await town.add_character()
    assert "@heron" in await said(await town.alice.slash("character list", channel=town.channel))
    message = await (await town.alice.slash("character info", {"character": "heron"}, channel=town.channel)).done(TIMEOUT_S)
    for part in ("Tweets downloaded", "Tweets kept", "5.00 → 4.00", "nano"):
        assert part in message.content
    assert "Said" in await said(await town.alice.click(message, "Say"))


async def test_a_character_is_deleted_after_a_question(town: Town) -> None:
    await town.add_character()
    question = await (await town.alice.slash("character delete", {"character": "heron"}, channel=town.channel)).done(TIMEOUT_S)
    assert question.ephemeral
    assert await town.app.characters.list(town.guild.id)
    await town.alice.click(question, question.buttons[0].label)
    await town.alice.wait_for(town.channel, lambda message: "is deleted" in message.content, TIMEOUT_S)
    assert not await town.app.characters.list(town.guild.id)


async def test_a_stranger_deletes_no_character(town: Town) -> None:
    await town.add_character()
    stranger = town.world.user("stranger")
    assert "Manage Server" in await said(await stranger.slash("character delete", {"character": "heron"}, channel=town.channel))
