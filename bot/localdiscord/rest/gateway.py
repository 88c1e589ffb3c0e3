"""/gateway: where the websocket is."""

from bot.localdiscord.rest.call import Answer, Call, Routes

routes = Routes()


@routes.add("GET", "/gateway", bot=False)
def gateway(call: Call) -> Answer:
    return 200, {"url": call.world.gateway_url}


@routes.add("GET", "/gateway/bot")
def gateway_bot(call: Call) -> Answer:
    start = {"total": 1000, "remaining": 1000, "reset_after": 0, "max_concurrency": 1}
    return 200, {"url": call.world.gateway_url, "shards": 1, "session_start_limit": start}
