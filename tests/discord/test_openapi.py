"""The check against Discord's description bites: what is right passes, what is wrong is named."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.discord.differences import REPLY_DIFFERENCES, REQUEST_DIFFERENCES
from tests.discord.events import check_dispatch
from tests.discord.openapi import check_exchanges, check_reply, check_request, check_value, find_operation

APP, CHANNEL, GUILD, MESSAGE = "1100000000000000001", "1100000000000000002", "1100000000000000003", "1100000000000000004"
COMMANDS = f"/api/v10/applications/{APP}/commands"
MESSAGES = f"/api/v10/channels/{CHANNEL}/messages"
CALLBACK = f"/api/v10/interactions/{MESSAGE}/aW50ZXJhY3Rpb24/callback"
ORIGINAL = f"/api/v10/webhooks/{APP}/aW50ZXJhY3Rpb24/messages/@original"
WEBHOOKS = f"/api/v10/channels/{CHANNEL}/webhooks"
EXECUTE = f"/api/v10/webhooks/{APP}/secret-token"

AUTHOR: dict[str, Any] = {
    "id": APP,
    "username": "mynah",
    "avatar": None,
    "discriminator": "0001",
    "public_flags": 0,
    "flags": 0,
    "global_name": None,
    "primary_guild": None,
    "bot": True,
}
REPLY: dict[str, Any] = {
    "id": MESSAGE,
    "channel_id": CHANNEL,
    "type": 0,
    "content": "hello",
    "author": AUTHOR,
    "mentions": [],
    "mention_roles": [],
    "mention_everyone": False,
    "attachments": [],
    "embeds": [],
    "components": [],
    "timestamp": "2026-01-02T03:04:05.678000+00:00",
    "edited_timestamp": None,
    "flags": 0,
    "pinned": False,
    "tts": False,
}


@dataclass(frozen=True)
class Sent:
    method: str
    path: str
    body: bytes = b""
    status: int = 204
    response: bytes = b""
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})


def sent(method: str, path: str, body: object = None, **query: str) -> Sent:
    return Sent(method, path, b"" if body is None else json.dumps(body).encode(), query=query)


def answered(status: int, body: object, *, method: str = "POST", path: str = MESSAGES) -> Sent:
    return Sent(method, path, b'{"content": "hello"}', status, b"" if body is None else json.dumps(body).encode())


def form(payload: object, *files: str) -> Sent:
    """A form as discord.py sends it."""
    parts = [f'Content-Disposition: form-data; name="payload_json"\r\n\r\n{json.dumps(payload)}']
    parts += [f'Content-Disposition: form-data; name="{name}"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\nbytes' for name in files]
    body = "".join(f"--edge\r\n{part}\r\n" for part in parts) + "--edge--\r\n"
    return Sent("POST", MESSAGES, body.encode(), headers={"content-type": "multipart/form-data; boundary=edge"})


def button(**changes: object) -> dict[str, object]:
    return {"type": 2, "style": 1, "label": "Cancel", "custom_id": "cancel", **changes}


def row(*components: object) -> dict[str, object]:
    return {"type": 1, "components": list(components)}


def select(options: int) -> dict[str, object]:
    return {"type": 3, "custom_id": "pick", "options": [{"label": str(n), "value": str(n)} for n in range(options)]}


def command(**changes: object) -> dict[str, object]:
    return {"name": "say", "description": "Let a character speak", "type": 1, "options": [], **changes}


def choices(count: int) -> dict[str, object]:
    return {"type": 8, "data": {"choices": [{"name": str(n), "value": str(n)} for n in range(count)]}}


GOOD = {
    "login": sent("GET", "/api/v10/users/@me"),
    "application": sent("GET", "/api/v10/oauth2/applications/@me"),
    "older address": sent("GET", "/api/v9/users/@me"),
    "sync": sent("PUT", COMMANDS, [command(options=[{"type": 3, "name": "character", "description": "Who", "autocomplete": True}])]),
    "permissions as a number": sent("PUT", COMMANDS, [command(default_member_permissions=32, contexts=[0], integration_types=[0])]),
    "sync of a server": sent("PUT", f"/api/v10/applications/{APP}/guilds/{GUILD}/commands", []),
    "user menu": sent("PUT", COMMANDS, [{"name": "Speak like", "type": 2}]),
    "defer": sent("POST", CALLBACK, {"type": 5, "data": {"flags": 64}}, with_response="1"),
    "defer of a button": sent("POST", CALLBACK, {"type": 6}, with_response="true"),
    "reply": sent("POST", CALLBACK, {"type": 4, "data": {"content": "hello", "flags": 64}}),
    "update by a button": sent("POST", CALLBACK, {"type": 7, "data": {"content": "cancelled", "components": []}}),
    "25 choices": sent("POST", CALLBACK, choices(25)),
    "modal": sent(
        "POST",
        CALLBACK,
        {
            "type": 9,
            "data": {
                "custom_id": "ask",
                "title": "Ask",
                "components": [row({"type": 4, "custom_id": "why", "label": "Why", "style": 1})],
            },
        },
    ),
    "edit of the original": sent("PATCH", ORIGINAL, {"content": "done", "components": [row(button())]}),
    "edit of the original, escaped": sent("PATCH", ORIGINAL.replace("@", "%40"), {"content": "done"}),
    "followup": sent("POST", EXECUTE, {"content": "more"}, wait="1"),
    "send": sent("POST", MESSAGES, {"content": "hello", "nonce": "18446744073709551615", "enforce_nonce": True, "tts": False}),
    "send that pings nobody": sent("POST", MESSAGES, {"content": "hello", "allowed_mentions": {"parse": []}}),
    "select": sent("POST", MESSAGES, {"content": "pick", "components": [row(select(25))]}),
    "file by its number": form({"content": "see", "attachments": [{"id": 0, "filename": "a.txt"}]}, "files[0]"),
    "create webhook": sent("POST", WEBHOOKS, {"name": "Mynah"}),
    "execute webhook": sent(
        "POST",
        EXECUTE,
        {"content": "hi", "username": "Nadia (AI)", "avatar_url": "http://127.0.0.1:1/a.png"},
        wait="1",
        with_components="0",
    ),
    "history": sent("GET", MESSAGES, limit="100", after=MESSAGE),
    "delete": sent("DELETE", f"{MESSAGES}/{MESSAGE}"),
}

BAD = {
    "command name of 33": (sent("PUT", COMMANDS, [command(name="a" * 33)]), "0/name: 'a.*' is too long"),
    "description of 101": (sent("PUT", COMMANDS, [command(description="a" * 101)]), "is too long"),
    "26 options": (
        sent("PUT", COMMANDS, [command(options=[{"type": 3, "name": f"o{n}", "description": "x"} for n in range(26)])]),
        "is too long",
    ),
    "131 commands": (sent("PUT", COMMANDS, [command(name=f"c{n}") for n in range(131)]), "is too long"),
    "26 choices": (sent("POST", CALLBACK, choices(26)), "callback"),
    "callback of an unknown kind": (sent("POST", CALLBACK, {"type": 99}), "type': 99"),
    "callback of no kind": (sent("POST", CALLBACK, {"data": {}}), "callback"),
    "4001 characters": (sent("POST", MESSAGES, {"content": "a" * 4001}), "content: 'a+… is too long"),
    "11 embeds": (sent("POST", MESSAGES, {"embeds": [{"title": "x"}] * 11}), "embeds: .* is too long"),
    "embed of 4097": (sent("POST", MESSAGES, {"embeds": [{"description": "a" * 4097}]}), "embeds/0/description"),
    "content as a number": (sent("POST", MESSAGES, {"content": 5}), "content: 5 is not of type"),
    "label of 81": (sent("POST", MESSAGES, {"components": [row(button(label="a" * 81))]}), "components/0/components/0/label"),
    "custom_id of 101": (sent("POST", MESSAGES, {"components": [row(button(custom_id="a" * 101))]}), "custom_id"),
    "6 buttons in a row": (
        sent("POST", MESSAGES, {"components": [row(*(button(custom_id=str(n)) for n in range(6)))]}),
        "components/0/components",
    ),
    "26 select options": (sent("POST", MESSAGES, {"components": [row(select(26))]}), "components/0/components/0/options"),
    "unknown kind of mention": (sent("POST", MESSAGES, {"allowed_mentions": {"parse": ["all"]}}), "allowed_mentions/parse/0"),
    "unknown path": (sent("GET", "/api/v10/users/@me/secrets/1"), "no such operation"),
    "unknown method": (sent("PATCH", MESSAGES), "no such operation"),
    "outside the API": (sent("GET", "/users/@me"), "no such operation"),
    "id that is no snowflake": (sent("DELETE", f"{MESSAGES}/latest"), "path parameter message_id: 'latest'"),
    "id of 65 bits": (sent("DELETE", f"{MESSAGES}/{2**64}"), "path parameter message_id"),
    "unknown query": (sent("GET", MESSAGES, since="1"), "since: no such query parameter"),
    "limit of 101": (sent("GET", MESSAGES, limit="101"), "query parameter limit: '101'"),
    "body where none belongs": (sent("GET", "/api/v10/users/@me", {"a": 1}), "has a body"),
    "no body where one belongs": (sent("POST", CALLBACK), "has no body"),
    "no JSON": (Sent("POST", MESSAGES, b"content=hello"), "body is no JSON"),
    "other content type": (Sent("POST", MESSAGES, b"{}", headers={"Content-Type": "text/plain"}), "content type 'text/plain'"),
    "no content type": (Sent("POST", MESSAGES, b"{}", headers={}), "content type 'missing'"),
    "form with a wrong payload": (form({"content": 5}, "files[0]"), "content: 5 is not of type"),
    "form with a stray part": (form({}, "picture"), "form parts picture"),
    "attachment without its file": (form({"attachments": [{"id": 1}]}, "files[0]"), "files 1, which are not in the form"),
    "attachment id as a list": (form({"attachments": [{"id": [0]}]}, "files[0]"), "attachments/0/id"),
    "form that is none": (
        Sent("POST", MESSAGES, b"{}", headers={"Content-Type": "multipart/form-data; boundary=edge"}),
        "no multipart form",
    ),
    "webhook name of 81": (sent("POST", WEBHOOKS, {"name": "a" * 81}), "name: 'a+… is too long"),
    "webhook without a name": (sent("POST", WEBHOOKS, {}), "'name' is a required property"),
}


@pytest.mark.parametrize("request_", GOOD.values(), ids=GOOD)
def test_what_clients_send_fits(request_: Sent) -> None:
    assert check_request(request_) == []


@pytest.mark.parametrize(("request_", "complaint"), BAD.values(), ids=BAD)
def test_a_bad_request_is_named(request_: Sent, complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        assert check_request(request_) == []


def without(value: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: item for name, item in value.items() if name != key}


GOOD_REPLIES = {
    "message": answered(200, REPLY),
    "nothing": answered(204, None, method="DELETE", path=f"{MESSAGES}/{MESSAGE}"),
    "error": answered(403, {"code": 50013, "message": "Missing Permissions"}),
    "error with its places": answered(
        400,
        {
            "code": 50035,
            "message": "Invalid Form Body",
            "errors": {
                "embeds": {"0": {"title": {"_errors": [{"code": "BASE_TYPE_MAX_LENGTH", "message": "Must be 256 or fewer in length."}]}}}
            },
        },
    ),
    "rate limit": answered(429, {"code": 0, "message": "You are being rate limited.", "retry_after": 0.3, "global": False}),
    "failure of the server": answered(502, None),
}

BAD_REPLIES = {
    **{
        f"message without {key}": (answered(200, without(REPLY, key)), f"'{key}' is a required")
        for key in ("type", "mentions", "flags", "pinned")
    },
    **{
        f"author without {key}": (answered(200, {**REPLY, "author": without(AUTHOR, key)}), f"author: '{key}' is a required")
        for key in ("public_flags", "primary_guild", "global_name")
    },
    "id as a number": (answered(200, {**REPLY, "id": 5}), "id: 5 is not of type 'string'"),
    "time without a zone": (answered(200, {**REPLY, "timestamp": "2026-01-02T03:04:05"}), "timestamp: .*'date-time'"),
    "component without its id": (answered(200, {**REPLY, "components": [row(button())]}), "components/0.*'id' is a required"),
    "no message": (answered(200, None), "no JSON"),
    "undescribed status": (answered(201, REPLY), "answers 200, 429, 4XX only"),
    "body where none belongs": (answered(204, {}, method="DELETE", path=f"{MESSAGES}/{MESSAGE}"), "none is described"),
    "error without a code": (answered(404, {"message": "404: Not Found"}), "'code' is a required"),
    "rate limit without a time": (answered(429, {"code": 0, "message": "slow", "global": False}), "'retry_after' is a required"),
}


@pytest.mark.parametrize("exchange", GOOD_REPLIES.values(), ids=GOOD_REPLIES)
def test_what_discord_answers_fits(exchange: Sent) -> None:
    assert check_reply(exchange) == []


@pytest.mark.parametrize(("exchange", "complaint"), BAD_REPLIES.values(), ids=BAD_REPLIES)
def test_a_bad_reply_is_named(exchange: Sent, complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        assert check_reply(exchange) == []


def test_each_problem_names_its_exchange_and_files_are_left_out() -> None:
    problems = check_exchanges(
        [answered(200, REPLY), sent("GET", "/cdn/a.png"), sent("GET", "/nowhere"), answered(200, without(REPLY, "tts"))]
    )
    assert problems == [
        "exchange 2: GET /nowhere: no such operation",
        "exchange 3: POST /channels/{channel_id}/messages: reply 200: the whole: 'tts' is a required property",
    ]


def test_a_literal_path_goes_before_a_parameter() -> None:
    found = find_operation("PATCH", ORIGINAL)
    assert found is not None
    assert found.described["operationId"] == "update_original_webhook_message"


def test_objects_in_gateway_events_are_checked() -> None:
    assert check_dispatch("MESSAGE_CREATE", REPLY) == []
    assert check_dispatch("MESSAGE_CREATE", without(REPLY, "tts")) == ["MESSAGE_CREATE the whole: the whole: 'tts' is a required property"]
    assert check_dispatch("INTERACTION_CREATE", {"user": AUTHOR, "message": None}) == []
    resolved = {"data": {"resolved": {"users": {APP: AUTHOR, GUILD: without(AUTHOR, "avatar")}}}}
    assert check_dispatch("INTERACTION_CREATE", resolved) == [
        f"INTERACTION_CREATE data/resolved/users/{GUILD}: the whole: 'avatar' is a required property"
    ]
    assert check_dispatch("RESUMED", {}) == []


def test_every_known_difference_is_one() -> None:
    """A row that the description has caught up with is to be deleted."""
    attachment = "/components/schemas/MessageAttachmentRequest"
    assert check_value(attachment, {"id": 0})
    assert check_value(
        "/components/schemas/ErrorResponse", {"code": 1, "message": "", "errors": {"_errors": [{"code": "A", "message": ""}]}}
    )
    assert {d.where for d in (*REQUEST_DIFFERENCES, *REPLY_DIFFERENCES)} == {"attachments/*/id", "data/attachments/*/id", "errors"}
