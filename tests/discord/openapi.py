"""Checks what went over the wire against Discord's own description of its API (`openapi.json` beside this file)."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes
from functools import cache
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from tests.discord.differences import REPLY_DIFFERENCES, REQUEST_DIFFERENCES, fit

DESCRIPTION = "urn:discord"
METHODS = ("get", "put", "post", "delete", "patch")
API_PREFIX = re.compile(r"^/api(/v\d+)?(?=/)")


class Exchange(Protocol):
    """One request and its reply as they went over the wire; what `World.exchanges` holds."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def query(self) -> Mapping[str, str]: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...
    @property
    def status(self) -> int: ...
    @property
    def response(self) -> bytes: ...


_formats = FormatChecker(formats=())


@_formats.checks("snowflake")
def _is_snowflake(value: object) -> bool:
    return not isinstance(value, str) or (value.isdigit() and int(value) < 2**64)


@_formats.checks("date-time", raises=ValueError)
def _is_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@_formats.checks("uri")
def _is_uri(value: object) -> bool:
    return not isinstance(value, str) or re.match(r"^[a-z][a-z0-9+.-]*:\S+$", value) is not None


@dataclass(frozen=True)
class Operation:
    """One method of one path template."""

    method: str
    template: str
    pattern: re.Pattern[str]
    parameters: Mapping[str, tuple[str, str]]
    """Name → (path or query, pointer to its schema)."""
    described: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.method.upper()} {self.template}"

    @property
    def pointer(self) -> str:
        return f"/paths/{_escape(self.template)}/{self.method}"


def check_exchanges(exchanges: Iterable[Exchange]) -> list[str]:
    """Every way in which the requests and replies do not fit the description, one sentence each; empty when all fit.

    Files of the content network (`/cdn/…`) are not part of the API and are left out.
    """
    problems: list[str] = []
    for number, exchange in enumerate(exchanges):
        if not exchange.path.startswith("/cdn/"):
            problems += [f"exchange {number}: {problem}" for problem in (*check_request(exchange), *check_reply(exchange))]
    return problems


def check_request(exchange: Exchange) -> list[str]:
    """What is wrong with the request: its path, its query, its body."""
    operation = find_operation(exchange.method, exchange.path)
    if operation is None:
        return [f"{exchange.method} {exchange.path}: no such operation"]
    place = f"{operation.name}: request"
    return [f"{place}: {problem}" for problem in (*_check_parameters(operation, exchange), *_check_request_body(operation, exchange))]


def check_reply(exchange: Exchange) -> list[str]:
    """What is wrong with the reply: its status, its body. Failures of the server itself (5xx) are not described, so not checked."""
    operation = find_operation(exchange.method, exchange.path)
    if operation is None or exchange.status >= 500:
        return []
    place = f"{operation.name}: reply {exchange.status}"
    responses = operation.described["responses"]
    wanted = next((key for key in (str(exchange.status), f"{exchange.status // 100}XX") if key in responses), None)
    if wanted is None:
        return [f"{place}: the operation answers {', '.join(sorted(responses))} only"]
    content, pointer = responses[wanted].get("content"), f"{operation.pointer}/responses/{wanted}"
    if "$ref" in responses[wanted]:
        pointer = responses[wanted]["$ref"].removeprefix("#")
        content = _description()["components"]["responses"][pointer.rsplit("/", 1)[1]]["content"]
    if content is None:
        return [f"{place}: has a body, none is described"] if exchange.response else []
    body, problem = _parse(exchange.response)
    if problem:
        return [f"{place}: {problem}"]
    return [f"{place}: {error}" for error in check_value(f"{pointer}/content/application~1json/schema", fit(body, REPLY_DIFFERENCES))]


def check_value(pointer: str, value: object) -> list[str]:
    """What is wrong with a value that the schema at the pointer describes; one line for each place in the value."""
    return [problem for error in _validator(pointer).iter_errors(value) for problem in _problems(error)]


def _problems(error: ValidationError) -> Iterator[str]:
    """The error in a few words; of a union, the errors of that branch which the value was meant for."""
    branches: dict[object, list[ValidationError]] = {}
    for cause in error.context or ():
        branches.setdefault(cause.schema_path[0], []).append(cause)
    meant = [causes for causes in branches.values() if not any(map(_other_branch, causes))]
    if meant:
        for cause in min(meant, key=len):
            yield from _problems(cause)
        return
    place = "/".join(str(part) for part in error.absolute_path) or "the whole"
    shown = repr(error.instance)
    yield f"{place}: {error.message.replace(shown, shown if len(shown) < 80 else shown[:80] + '…')}"


def _other_branch(error: ValidationError) -> bool:
    """Whether the branch is for another kind of value: another `type` inside, or null where there is something."""
    return list(error.path) == ["type"] or (not error.path and error.validator == "type")


def find_operation(method: str, path: str) -> Operation | None:
    """The operation that a request asks for; a literal part of a template goes before a parameter (`@original` before `{message_id}`)."""
    if not API_PREFIX.match(path):
        return None
    return next((operation for operation in _operations().get(method.lower(), ()) if operation.pattern.fullmatch(_bare(path))), None)


def _bare(path: str) -> str:
    """The path as templates have it: without the API's prefix, and with what clients escape (`%40original`) as it is meant."""
    return "/".join(unquote(part).replace("/", "%2F") for part in API_PREFIX.sub("", path).split("/"))


def _check_parameters(operation: Operation, exchange: Exchange) -> Iterator[str]:
    matched = operation.pattern.fullmatch(_bare(exchange.path))
    in_path = matched.groupdict() if matched else {}
    for place, given in (("path", in_path), ("query", exchange.query)):
        for name, value in given.items():
            known_place, pointer = operation.parameters.get(name, ("", ""))
            if known_place != place:
                yield f"{name}: no such {place} parameter"
            elif not any(_validator(pointer).is_valid(reading) for reading in _readings(value)):
                yield f"{place} parameter {name}: {value!r} does not fit"


def _readings(value: str) -> Iterator[object]:
    """What a text in a query may stand for: clients write true as "1", "true" or "True", and lists with commas."""
    yield value
    if value.isdigit():
        yield int(value)
    if value.lower() in ("1", "0", "true", "false"):
        yield value.lower() in ("1", "true")
    yield value.split(",")


def _check_request_body(operation: Operation, exchange: Exchange) -> Iterator[str]:
    described = operation.described.get("requestBody")
    if described is None:
        if exchange.body.strip() not in (b"", b"{}", b"null"):
            yield "has a body, none is described"
        return
    if not exchange.body:
        if described.get("required"):
            yield "has no body, one is required"
        return
    headers = {name.lower(): value for name, value in exchange.headers.items()}
    kind = headers.get("content-type", "").split(";")[0].strip().lower()
    if kind not in described["content"]:
        yield f"content type {kind or 'missing'!r}: the operation takes {', '.join(described['content'])}"
        return
    if kind == "multipart/form-data":
        body, problem = _parse_multipart(headers["content-type"], exchange.body)
    else:
        body, problem = _parse(exchange.body)
    if problem:
        yield problem
        return
    yield from check_value(f"{operation.pointer}/requestBody/content/{_escape(kind)}/schema", fit(body, REQUEST_DIFFERENCES))


def _parse(body: bytes) -> tuple[Any, str]:
    try:
        return json.loads(body), ""
    except ValueError as error:
        return None, f"body is no JSON: {error}"


def _parse_multipart(content_type: str, body: bytes) -> tuple[Any, str]:
    """The JSON part with one text for each file, as the description has it; and what is wrong with the form."""
    form = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    if not form.is_multipart():
        return None, "body is no multipart form"
    parts = {str(part.get_param("name", header="content-disposition")): part for part in form.walk() if not part.is_multipart()}
    payload: Any = {}
    if "payload_json" in parts:
        content = parts.pop("payload_json").get_payload(decode=True)
        payload, problem = _parse(content if isinstance(content, bytes) else b"")
        if problem:
            return None, f"payload_json: {problem}"
    strays = [name for name in parts if not re.fullmatch(r"files\[\d\]|file", name)]
    if strays:
        return None, f"form parts {', '.join(strays)} are neither payload_json nor files[0] to files[9]"
    declared = (payload.get("data") or payload).get("attachments") or []
    missing = [str(a["id"]) for a in declared if len(str(a.get("id"))) < 3 and f"files[{a.get('id')}]" not in parts]
    if missing:
        return None, f"attachments name the files {', '.join(missing)}, which are not in the form"
    return {**payload, **dict.fromkeys(parts, "")}, ""


@cache
def _description() -> dict[str, Any]:
    description: dict[str, Any] = json.loads(Path(__file__).with_name("openapi.json").read_bytes())
    return description


@cache
def _registry() -> Registry[Any]:
    registry: Registry[Any] = Registry().with_resource(DESCRIPTION, DRAFT202012.create_resource(_description()))
    return registry


@cache
def _validator(pointer: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"{DESCRIPTION}#{_quote(pointer)}"}, registry=_registry(), format_checker=_formats)


@cache
def _operations() -> dict[str, list[Operation]]:
    found: dict[str, list[Operation]] = {method: [] for method in METHODS}
    for template, described in sorted(_description()["paths"].items(), key=lambda item: item[0].count("{")):
        pattern = re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(template)))
        for method in METHODS:
            if method in described:
                found[method].append(Operation(method, template, pattern, _parameters(template, method), described[method]))
    return found


def _parameters(template: str, method: str) -> dict[str, tuple[str, str]]:
    path = _description()["paths"][template]
    found = {}
    for pointer, listed in (
        (f"/paths/{_escape(template)}/parameters", path.get("parameters", ())),
        (f"/paths/{_escape(template)}/{method}/parameters", path[method].get("parameters", ())),
    ):
        for index, parameter in enumerate(listed):
            found[parameter["name"]] = (parameter["in"], f"{pointer}/{index}/schema")
    return found


def _escape(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")


def _quote(pointer: str) -> str:
    return pointer.replace("{", "%7B").replace("}", "%7D")
