"""What people get back and press: replies on their way, buttons, menus, modals."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.localdiscord import NoReply, NotPossible
from tests.localdiscord.scene import Scene, scene_with_bot

Json = dict[str, Any]
REPLY, DEFER, MODAL = 4, 5, 9


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with scene_with_bot() as made:
        yield made


async def button(scene: Scene, **fields: object) -> Any:
    """A message of the bot with one button, as alice sees it."""
    part = {"type": 2, "style": 1, "label": "Press", "custom_id": "press"} | fields
    sent = await scene.send("look", components=[{"type": 1, "components": [{k: v for k, v in part.items() if v is not None}]}])
    return next(message for message in scene.alice.read(scene.channel) if message.id == int(sent["id"]))


# --- the answer


async def test_a_reply_from_thinking_to_done(scene: Scene) -> None:
    asked = await scene.slash()
    reply = await asked.seen
    assert (reply.message, reply.acknowledged, reply.failed) == (None, False, None)
    done = asyncio.ensure_future(reply.done())
    await asked.answer(DEFER)
    assert reply.message.loading
    assert not done.done()
    await scene.rest("PATCH", f"{asked.webhook}/messages/@original", {"content": "ready"}, token="")
    message = await done
    assert (message.content, message.loading, message.edited) == ("ready", False, False)


async def test_no_answer_in_three_seconds_is_told(scene: Scene) -> None:
    asked = await scene.slash()
    reply = await asked.seen
    done = asyncio.ensure_future(reply.done())
    scene.world.clock.advance(3.1)
    with pytest.raises(NoReply, match="The application did not respond"):
        await done
    assert reply.failed == "The application did not respond"


async def test_a_deleted_answer_is_no_answer(scene: Scene) -> None:
    asked = await scene.slash()
    await asked.answer(DEFER)
    reply = await asked.seen
    done = asyncio.ensure_future(reply.done())
    await scene.rest("DELETE", f"{asked.webhook}/messages/@original", token="")
    with pytest.raises(NoReply, match="deleted"):
        await done


async def test_waiting_in_vain_names_what_was_there(scene: Scene) -> None:
    asked = await scene.slash()
    await asked.answer(DEFER)
    with pytest.raises(TimeoutError, match="acknowledged with type 5"):
        await (await asked.seen).done(timeout=0.01)
    await scene.send("something else")
    with pytest.raises(TimeoutError, match="something else"):
        await scene.alice.wait_for(scene.channel, lambda message: message.content == "this", timeout=0.01)


# --- buttons, menus, modals


@pytest.mark.parametrize("name", ["Press", "press"])
async def test_a_button_by_its_label_or_its_id(name: str, scene: Scene) -> None:
    asked = await scene.acted(scene.alice.click(await button(scene), name))
    assert (asked.data["type"], asked.data["data"]["custom_id"], asked.data["data"]["component_type"]) == (3, "press", 2)
    assert asked.data["message"]["content"] == "look"


@pytest.mark.parametrize(
    ("fields", "name", "problem"),
    [
        ({"disabled": True}, "Press", "disabled"),
        ({"style": 5, "url": "https://example.org", "custom_id": None}, "Press", "link"),
        ({}, "Pull", "only .*Press"),
    ],
)
async def test_a_button_that_cannot_be_pressed(fields: Json, name: str, problem: str, scene: Scene) -> None:
    message = await button(scene, **fields)
    with pytest.raises(NotPossible, match=problem):
        await scene.alice.click(message, name)


async def test_a_button_that_is_gone(scene: Scene) -> None:
    message = await button(scene)
    await scene.rest("PATCH", f"{scene.messages}/{message.id}", {"components": []})
    with pytest.raises(NotPossible):
        await scene.alice.click(message, "Press")
    await scene.rest("DELETE", f"{scene.messages}/{message.id}")
    with pytest.raises(NotPossible, match="deleted"):
        await scene.alice.click(message, "Press")


async def test_nobody_presses_a_button_in_somebody_elses_ephemeral_message(scene: Scene) -> None:
    asked = await scene.slash()
    row = {"type": 1, "components": [{"type": 2, "style": 1, "label": "Press", "custom_id": "press"}]}
    await asked.answer(REPLY, content="for you", flags=64, components=[row])
    message = await (await asked.seen).done()
    with pytest.raises(NotPossible, match="does not see"):
        await scene.bob.click(message, "Press")
    await scene.acted(scene.alice.click(message, "Press"))


async def menu(scene: Scene, **fields: object) -> Any:
    part = {"type": 3, "custom_id": "m", "options": [{"label": "Red", "value": "r"}, {"label": "Blue", "value": "b"}]} | fields
    sent = await scene.send("choose", components=[{"type": 1, "components": [{k: v for k, v in part.items() if v is not None}]}])
    return next(message for message in scene.alice.read(scene.channel) if message.id == int(sent["id"]))


async def test_a_menu(scene: Scene) -> None:
    message = await menu(scene, max_values=2)
    asked = await scene.acted(scene.alice.select(message, "m", ["Red", "b"]))
    assert asked.data["data"]["values"] == ["r", "b"]
    for wrong in ([], ["green"], ["Red", "Blue", "Red"]):
        with pytest.raises(NotPossible):
            await scene.alice.select(message, "m", wrong)


async def test_a_menu_of_users(scene: Scene) -> None:
    message = await menu(scene, type=5, options=None)
    asked = await scene.acted(scene.alice.select(message, "m", [scene.bob]))
    assert asked.data["data"]["values"] == [str(scene.bob.id)]
    assert str(scene.bob.id) in asked.data["data"]["resolved"]["users"]


async def test_a_modal(scene: Scene) -> None:
    field = {"type": 4, "custom_id": "why", "label": "Why?", "style": 1, "max_length": 5}
    labelled = {"type": 18, "label": "Colour", "component": {"type": 3, "custom_id": "c", "options": [{"label": "Red", "value": "r"}]}}
    asked = await scene.slash()
    await asked.answer(MODAL, custom_id="form", title="A form", components=[{"type": 1, "components": [field]}, labelled])
    modal = await (await asked.seen).opened()
    assert (modal.title, set(modal.fields)) == ("A form", {"why", "c"})
    right: Json = {"Why?": "yes", "Colour": ["Red"]}
    wrongs: list[Json] = [{"Why?": ""}, {"Why?": "too long"}, {"Why?": 5}, {"Colour": []}, {"Colour": ["Green"]}, {"Size": "big"}]
    for wrong in wrongs:
        with pytest.raises(NotPossible):
            await scene.alice.submit(modal, right | wrong)
    sent = await scene.acted(scene.alice.submit(modal, right))
    row, label = sent.data["data"]["components"]
    assert (sent.data["type"], sent.data["data"]["custom_id"]) == (5, "form")
    assert (row["components"][0]["value"], label["component"]["values"]) == ("yes", ["r"])
    await sent.answer(REPLY, content="thank you", flags=64)
    reply = await sent.seen
    assert ((await reply.done()).content, reply.ephemeral) == ("thank you", True)


async def test_an_answer_that_is_no_modal_opens_none(scene: Scene) -> None:
    asked = await scene.slash()
    await asked.answer(REPLY, content="no")
    with pytest.raises(NoReply, match="no modal"):
        await (await asked.seen).opened()
