"""/interactions: the bot's answer to what a person did."""

from bot.localdiscord import interactions
from bot.localdiscord.rest.call import NO_CONTENT, Answer, Call, Routes

routes = Routes()


@routes.add("POST", "/interactions/{interaction_id}/{token}/callback", bot=False)
def callback(call: Call) -> Answer:
    interaction = interactions.answer(call.world, call.id("interaction_id"), call.params["token"], call.form, call.uploads)
    return (200, interactions.callback_json(call.world, interaction)) if call.flag("with_response") else NO_CONTENT
