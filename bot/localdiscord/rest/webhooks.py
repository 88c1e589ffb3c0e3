"""/webhooks: a channel's webhooks, and the messages sent through them."""

from typing import Any

from bot.localdiscord import answering, mentions, posting, wire
from bot.localdiscord.interactions import Interaction
from bot.localdiscord.messages import COMPONENTS_V2, Author, Message
from bot.localdiscord.objects import Webhook
from bot.localdiscord.permissions import Permissions
from bot.localdiscord.rest.call import NO_CONTENT, Answer, Call, Routes
from bot.localdiscord.rest.users import stored_picture
from bot.localdiscord.rules import messages as rules
from bot.localdiscord.rules import refusal
from bot.localdiscord.wire_messages import message_json, new_message_json

Json = dict[str, Any]

MOST_WEBHOOKS = 15

routes = Routes()


@routes.add("GET", "/channels/{channel_id}/webhooks")
def of_channel(call: Call) -> Answer:
    found = call.channel(Permissions.MANAGE_WEBHOOKS)
    hooks = [hook for hook in call.world.webhooks.values() if hook.channel is found]
    return 200, [wire.webhook_json(hook, call.world.base_url, with_token=hook.application_id == call.application.id) for hook in hooks]


@routes.add("POST", "/channels/{channel_id}/webhooks")
def create(call: Call) -> Answer:
    found = call.channel(Permissions.MANAGE_WEBHOOKS)
    rules.check_webhook(call.form, needs_name=True)
    if sum(hook.channel is found for hook in call.world.webhooks.values()) >= MOST_WEBHOOKS:
        raise refusal.too_many_webhooks()
    hook = call.world.add_webhook(found, call.form["name"].strip(), call.application.user, call.application.id)
    hook.avatar = stored_picture(call.world, hook.id, call.form.get("avatar"))
    return 200, wire.webhook_json(hook, call.world.base_url)


@routes.add("GET", "/webhooks/{webhook_id}")
def get(call: Call) -> Answer:
    hook = _managed(call)
    return 200, wire.webhook_json(hook, call.world.base_url, with_token=hook.application_id == call.application.id)


@routes.add("PATCH", "/webhooks/{webhook_id}")
def change(call: Call) -> Answer:
    hook = _managed(call)
    _change(call, hook)
    if call.form.get("channel_id") is not None:
        target = hook.guild.channels.get(int(call.form["channel_id"]))
        if target is None:
            raise refusal.unknown("Channel")
        hook.channel = target
    return 200, wire.webhook_json(hook, call.world.base_url)


@routes.add("DELETE", "/webhooks/{webhook_id}")
def delete(call: Call) -> Answer:
    call.world.remove_webhook(_managed(call))
    return NO_CONTENT


@routes.add("GET", "/webhooks/{webhook_id}/{token}", bot=False)
def get_by_token(call: Call) -> Answer:
    return 200, wire.webhook_json(_by_token(call), call.world.base_url, with_user=False)


@routes.add("PATCH", "/webhooks/{webhook_id}/{token}", bot=False)
def change_by_token(call: Call) -> Answer:
    hook = _by_token(call)
    _change(call, hook)
    return 200, wire.webhook_json(hook, call.world.base_url, with_user=False)


@routes.add("DELETE", "/webhooks/{webhook_id}/{token}", bot=False)
def delete_by_token(call: Call) -> Answer:
    call.world.remove_webhook(_by_token(call))
    return NO_CONTENT


@routes.add("POST", "/webhooks/{webhook_id}/{token}", bot=False)
def execute(call: Call) -> Answer:
    """A webhook's message, or the followup of an interaction: the path is the same."""
    if call.id("webhook_id") in call.world.applications:
        return _follow_up(call)
    hook = _by_token(call)
    rules.check_message(call.form, webhook=True)
    rules.check_files(len(call.uploads), 0, max((len(item.data) for item in call.uploads), default=0), wire.FILE_LIMIT)
    rules.check_not_empty(call.form, len(call.uploads))
    body = _without_foreign_components(call, hook)
    message = posting.create(call.world, hook.channel, body, call.uploads, _origin(hook, call.form))
    return (200, new_message_json(message, call.world.base_url)) if call.flag("wait") else NO_CONTENT


@routes.add("GET", "/webhooks/{webhook_id}/{token}/messages/{message_id}", bot=False)
def get_message(call: Call) -> Answer:
    if call.id("webhook_id") in call.world.applications:
        interaction = _interaction(call)
        return 200, message_json(answering.message_of(interaction, call.params["message_id"]), call.world.base_url)
    return 200, message_json(_own_message(call, _by_token(call)), call.world.base_url)


@routes.add("PATCH", "/webhooks/{webhook_id}/{token}/messages/{message_id}", bot=False)
def edit_message(call: Call) -> Answer:
    if call.id("webhook_id") in call.world.applications:
        interaction = _interaction(call)
        message = answering.message_of(interaction, call.params["message_id"])
        changed = answering.change(call.world, interaction, message, call.form, call.uploads)
        return 200, message_json(changed, call.world.base_url)
    hook = _by_token(call)
    message = _own_message(call, hook)
    rules.check_message(call.form, v2=bool(message.flags & COMPONENTS_V2))
    bits = hook.guild.everyone.permissions
    changed = posting.edit(call.world, message, call.form, call.uploads, bits=bits, default=mentions.USERS)
    return 200, message_json(changed, call.world.base_url)


@routes.add("DELETE", "/webhooks/{webhook_id}/{token}/messages/{message_id}", bot=False)
def delete_message(call: Call) -> Answer:
    if call.id("webhook_id") in call.world.applications:
        interaction = _interaction(call)
        answering.remove(call.world, interaction, answering.message_of(interaction, call.params["message_id"]))
    else:
        posting.delete(call.world, _own_message(call, _by_token(call)))
    return NO_CONTENT


def _follow_up(call: Call) -> Answer:
    interaction = _interaction(call)
    message = answering.follow_up(call.world, interaction, call.form, call.uploads)
    return 200, message_json(message, call.world.base_url)


def _interaction(call: Call) -> Interaction:
    return answering.alive(call.world, call.id("webhook_id"), call.params["token"])


def _by_token(call: Call) -> Webhook:
    hook = call.world.webhooks.get(call.id("webhook_id"))
    if hook is None:
        raise refusal.unknown("Webhook")
    if hook.token != call.params["token"]:
        raise refusal.dead_token()
    return hook


def _managed(call: Call) -> Webhook:
    """The webhook in the path, if the bot may manage it."""
    hook = call.world.webhooks.get(call.id("webhook_id"))
    if hook is None:
        raise refusal.unknown("Webhook")
    if not hook.guild.permissions_in(hook.channel, call.application.id) & Permissions.MANAGE_WEBHOOKS:
        raise refusal.missing_permissions()
    return hook


def _change(call: Call, hook: Webhook) -> None:
    rules.check_webhook(call.form, needs_name=False)
    if call.form.get("name") is not None:
        hook.name = call.form["name"].strip()
    if "avatar" in call.form:
        hook.avatar = stored_picture(call.world, hook.id, call.form["avatar"])
    call.world.tell_webhooks(hook.channel)


def _own_message(call: Call, hook: Webhook) -> Message:
    message = hook.channel.messages.get(call.id("message_id"))
    if message is None or message.webhook_id != hook.id:
        raise refusal.unknown("Message")
    return message


def _origin(hook: Webhook, body: Json) -> posting.Origin:
    name = body.get("username") or hook.name
    author = Author(hook.id, name, bot=True, avatar=hook.avatar, avatar_url=body.get("avatar_url"), webhook=True)
    return posting.Origin(
        author=author,
        bits=hook.guild.everyone.permissions,
        default=mentions.USERS,
        webhook_id=hook.id,
        application_id=hook.application_id,
    )


def _without_foreign_components(call: Call, hook: Webhook) -> Json:
    """A webhook that no application owns sends components only when asked to (with_components), and then none that act."""
    if hook.application_id is None and not call.flag("with_components"):
        return {name: value for name, value in call.form.items() if name != "components"}
    return call.form
