"""The main job as a person does it: upload tweets, watch the training, hear the character."""

import re
from pathlib import Path

from bot import sample
from bot.localdiscord import File
from tests.acceptance.house import open_house, some_tweets


async def test_train_and_say(tmp_path: Path) -> None:
    async with open_house(tmp_path / "data") as house:
        values = {"handle": f"@{sample.HANDLE.upper()}", "archive": File("tweets.jsonl", some_tweets())}
        question = await (await house.alice.slash("train", values, channel=house.channel)).done(20)
        assert "What entitles you" in question.content
        await house.alice.click(question, "An organisation, a bot or a fictional character")
        progress = await house.alice.wait_for(house.channel, lambda now: now.id == question.id and "Queued" in now.content, 20)
        assert sample.HANDLE in progress.content
        assert [button.label for button in progress.buttons] == ["Cancel"]

        seen: list[str] = []
        house.world.events.listen(lambda e: seen.append(e.message.content) if e.message and e.message.id == progress.id else None)
        card = await house.result(after=progress)
        shown = "\n".join([progress.content, *seen])
        for part in (r"Queued, 1st", r"\d+%", r"training", r"left", r"loss \d", r"held-out loss \d"):
            assert re.search(part, shown), (part, shown)

        counts = {
            words: int(number.replace(",", ""))
            for words, number in re.findall(r"^([A-Z][a-z ]+?) {2,}([\d,]+)$", card.content, re.MULTILINE)
        }
        assert counts == {"Tweets downloaded": 110, "Retweets": 0, "Short tweets": 0, "Tweets kept": 110}
        base, model = (float(value) for value in re.findall(r"Held-out loss (\d+\.\d+) → (\d+\.\d+)", card.content)[0])
        assert model < base - 0.2
        assert card.content.count("\n> ") == 5

        answer = await (
            await house.alice.slash("say", {"character": sample.HANDLE, "prompt": "This morning", "count": 5}, channel=house.channel)
        ).done(90)
        assert answer.ephemeral
        said = house.said()
        texts = {message.content.splitlines()[0] for message in said}
        assert len(said) == len(texts) == 5
        for message in said:
            text, label = message.content.rsplit("\n", 1)
            assert text.startswith("This morning")
            assert len(text) <= 280
            assert label == f"-# AI · not written by @{sample.HANDLE}"
            assert message.author_name.endswith("(AI)")
            assert not message.pinged
            assert text not in {line.split("\t", 1)[1] for line in sample.TWEETS.read_text(encoding="utf-8").splitlines()}
        assert not list((house.home / "uploads").glob("*"))
        assert not list((house.home / "jobs").glob("*"))


async def test_a_post_can_be_explained_said_again_and_deleted(trained: Path) -> None:
    async with open_house(trained) as house:
        say = await house.alice.slash("say", {"character": "ferry", "prompt": "The heron", "seed": 7}, channel=house.channel)
        assert "7" in (await say.done(90)).content
        [post] = house.said()
        why = await (await house.alice.click(post, "Why this?")).done(30)
        assert why.ephemeral
        for part in ("version 1", "nano", "The heron", "Seed: ", "eal tweet"):
            assert part in why.content

        again = await (await house.bob.click(post, "Again")).done(90)
        assert again.ephemeral
        first, second = house.said()
        assert second.content != first.content
        assert second.content.startswith("The heron")

        refused = await (await house.bob.click(first, "Delete")).done(30)
        assert refused.ephemeral
        assert len(house.said()) == 2
        assert "Deleted" in (await (await house.alice.click(first, "Delete")).done(30)).content
        assert [message.id for message in house.said()] == [second.id]


async def test_the_same_seed_gives_the_same_text(trained: Path) -> None:
    async with open_house(trained) as house:
        for _ in range(2):
            reply = await house.alice.slash("say", {"character": "ferry", "count": 2, "seed": 11}, channel=house.channel)
            await reply.done(90)
        texts = [message.content for message in house.said()]
        assert texts[:2] == texts[2:]
        assert texts[0] != texts[1]
