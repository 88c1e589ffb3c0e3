"""Users, applications, servers, channels and webhooks as Discord's JSON. One function per noun, pure."""

from datetime import datetime
from typing import Any

from bot.localdiscord.objects import DM, Application, Channel, Guild, Member, Role, User, Webhook, permissions_in

Json = dict[str, Any]

FILE_LIMIT = 10 * 1024 * 1024
"""Bytes that one uploaded file of a bot may have."""


def time_text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")


def user_json(user: User) -> Json:
    return {
        "id": str(user.id),
        "username": user.name,
        "discriminator": f"{user.id % 9999 + 1:04}" if user.bot else "0",
        "global_name": None if user.bot else user.display_name,
        "avatar": user.avatar,
        "avatar_decoration_data": None,
        "banner": None,
        "accent_color": None,
        "collectibles": None,
        "primary_guild": None,
        "public_flags": 0,
        "flags": 0,
        "bot": user.bot,
        "system": False,
    }


def me_json(user: User) -> Json:
    """A bot's own account, as GET /users/@me and READY give it."""
    return user_json(user) | {"mfa_enabled": True, "locale": user.locale, "verified": True, "email": None, "premium_type": 0}


def application_json(application: Application, guilds: int) -> Json:
    return {
        "id": str(application.id),
        "name": application.name,
        "icon": None,
        "description": "",
        "type": None,
        "bot": user_json(application.user),
        "bot_public": True,
        "bot_require_code_grant": False,
        "verify_key": application.public_key,
        "flags": application_flags(application),
        "flags_new": str(application_flags(application)),
        "tags": [],
        "redirect_uris": [],
        "interactions_endpoint_url": None,
        "role_connections_verification_url": None,
        "owner": user_json(application.owner),
        "approximate_guild_count": guilds,
        "approximate_user_install_count": len(application.installed_by),
        "approximate_user_authorization_count": 0,
        "explicit_content_filter": 0,
        "team": None,
        "eligible_oauth2_scopes": ["bot", "applications.commands"],
        "integration_types_config": {"0": {}, "1": {}},
    }


def application_flags(application: Application) -> int:
    """The flags that say which privileged intents are switched on (the limited kind: under 10,000 users)."""
    return application.presences_intent << 13 | application.members_intent << 15 | application.message_content << 19


def role_json(role: Role) -> Json:
    body: Json = {
        "id": str(role.id),
        "name": role.name,
        "permissions": str(int(role.permissions)),
        "position": role.position,
        "color": role.color,
        "colors": {"primary_color": role.color, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "managed": role.managed,
        "mentionable": role.mentionable,
        "icon": None,
        "unicode_emoji": None,
        "flags": 0,
    }
    if role.application_id is not None:
        body["tags"] = {"bot_id": str(role.application_id)}
    return body


def channel_json(channel: Channel) -> Json:
    last = channel.last_message_id
    body: Json = {"id": str(channel.id), "type": channel.kind, "flags": 0, "last_message_id": None if last is None else str(last)}
    if channel.guild is None:
        return body | {"recipients": [user_json(user) for user in channel.recipients if not user.bot] if channel.kind == DM else []}
    return body | {
        "guild_id": str(channel.guild.id),
        "name": channel.name,
        "topic": channel.topic,
        "position": channel.position,
        "nsfw": channel.nsfw,
        "parent_id": None if channel.parent_id is None else str(channel.parent_id),
        "rate_limit_per_user": 0,
        "last_pin_timestamp": None,
        "permission_overwrites": [
            {"id": str(item.id), "type": item.kind, "allow": str(int(item.allow)), "deny": str(int(item.deny))}
            for item in channel.overwrites.values()
        ],
    }


def member_json(member: Member) -> Json:
    return bare_member_json(member) | {"user": user_json(member.user)}


def bare_member_json(member: Member) -> Json:
    """A member without the user: as message events carry it."""
    return {
        "avatar": None,
        "avatar_decoration_data": None,
        "banner": None,
        "collectibles": None,
        "communication_disabled_until": None,
        "flags": 0,
        "joined_at": time_text(member.joined_at),
        "nick": member.nick,
        "pending": False,
        "premium_since": None,
        "roles": [str(role) for role in member.roles],
        "mute": False,
        "deaf": False,
    }


def guild_json(guild: Guild) -> Json:
    first = next(iter(guild.channels.values()), None)
    return {
        "id": str(guild.id),
        "name": guild.name,
        "icon": None,
        "description": None,
        "home_header": None,
        "splash": None,
        "discovery_splash": None,
        "features": [],
        "banner": None,
        "owner_id": str(guild.owner.id),
        "application_id": None,
        "region": "deprecated",
        "afk_channel_id": None,
        "afk_timeout": 300,
        "system_channel_id": None if first is None else str(first.id),
        "system_channel_flags": 0,
        "widget_enabled": False,
        "widget_channel_id": None,
        "verification_level": 0,
        "roles": [role_json(role) for role in guild.roles.values()],
        "default_message_notifications": 0,
        "mfa_level": 0,
        "explicit_content_filter": 0,
        "max_presences": None,
        "max_members": 500_000,
        "max_stage_video_channel_users": 50,
        "max_video_channel_users": 25,
        "vanity_url_code": None,
        "premium_tier": 0,
        "premium_subscription_count": 0,
        "preferred_locale": guild.locale,
        "rules_channel_id": None,
        "safety_alerts_channel_id": None,
        "public_updates_channel_id": None,
        "premium_progress_bar_enabled": False,
        "nsfw": False,
        "nsfw_level": 0,
        "emojis": [],
        "stickers": [],
        "incidents_data": None,
    }


def guild_create_json(guild: Guild, viewer_id: int, *, all_members: bool) -> Json:
    """GUILD_CREATE: the server with its channels; only the bot's own member unless it has the members intent."""
    members = [member for member in guild.members.values() if all_members or member.user.id == viewer_id]
    return guild_json(guild) | {
        "joined_at": time_text(guild.members[viewer_id].joined_at),
        "large": False,
        "unavailable": False,
        "member_count": len(guild.members),
        "voice_states": [],
        "members": [member_json(member) for member in members],
        "channels": [channel_json(channel) for channel in guild.channels.values()],
        "threads": [],
        "presences": [],
        "stage_instances": [],
        "guild_scheduled_events": [],
        "soundboard_sounds": [],
    }


def webhook_json(webhook: Webhook, base_url: str, *, with_user: bool = True, with_token: bool = True) -> Json:
    body: Json = {
        "id": str(webhook.id),
        "type": 1,
        "name": webhook.name,
        "avatar": webhook.avatar,
        "channel_id": str(webhook.channel.id),
        "guild_id": str(webhook.guild.id),
        "application_id": None if webhook.application_id is None else str(webhook.application_id),
    }
    if with_token:
        body |= {"token": webhook.token, "url": f"{base_url}/api/webhooks/{webhook.id}/{webhook.token}"}
    if with_user:
        body["user"] = user_json(webhook.user)
    return body


def interaction_channel_json(channel: Channel, user_id: int) -> Json:
    """The partial channel inside an interaction, with what the user may do there."""
    return channel_json(channel) | {"permissions": str(permissions_in(channel, user_id))}
