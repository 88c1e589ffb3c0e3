"""/interactions: the bot's answer to what a person did."""

from bot.localdiscord import answering
from bot.localdiscord.rest.call import NO_CONTENT, Answer, Call, Routes
from bot.localdiscord.wire_interactions import callback_json

routes = Routes()


@routes.add("POST", "/interactions/{interaction_id}/{token}/callback", bot=False)
def callback(call: Call) -> Answer:
    interaction = answering.answer(call.world, call.id("interaction_id"), call.params["token"], call.form, call.uploads)
    return (200, callback_json(interaction, call.world.base_url)) if call.flag("with_response") else NO_CONTENT
