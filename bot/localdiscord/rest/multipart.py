"""multipart/form-data: `payload_json` and files, from bytes already read."""

import json
from email.message import Message as Headers
from email.parser import BytesHeaderParser
from typing import Any

from bot.localdiscord.drafts import Upload
from bot.localdiscord.rules import refusal
from bot.localdiscord.rules.forms import invalid

Json = dict[str, Any]


def read(content_type: str, raw: bytes) -> tuple[Any, dict[str, Upload]]:
    """The JSON body and the files by field name.

    Raises:
        Refusal: no boundary, or `payload_json` is no JSON.
    """
    header = Headers()
    header["Content-Type"] = content_type
    boundary = header.get_param("boundary")
    if not isinstance(boundary, str):
        raise invalid((), "CONTENT_TYPE_INVALID", "Content-Type has no boundary")
    body: Any = {}
    files: dict[str, Upload] = {}
    for part in _parts(raw, boundary.encode()):
        head, _, data = part.partition(b"\r\n\r\n")
        headers = BytesHeaderParser().parsebytes(head)
        name = headers.get_param("name", header="content-disposition")
        filename = headers.get_filename()
        if name == "payload_json":
            body = parse_json(data)
        elif filename is not None:
            kind = headers.get_content_type() if headers.get("Content-Type") else None
            files[str(name)] = Upload(filename, data, kind)
        elif isinstance(body, dict):
            body[str(name)] = data.decode()
    return body, files


def parse_json(raw: bytes) -> Any:  # noqa: ANN401 - JSON is anything
    try:
        return json.loads(raw)
    except ValueError:
        raise refusal.invalid_json() from None


def uploads_of(body: object, files: dict[str, Upload]) -> list[Upload]:
    """The files with the names and descriptions that `attachments` gives them.

    Raises:
        Refusal: an attachment that names no file.
    """
    described = body.get("attachments") if isinstance(body, dict) else None
    if not isinstance(described, list):
        return list(files.values())
    by_number = {name.removeprefix("files[").removesuffix("]"): upload for name, upload in files.items()}
    uploads = []
    for index, item in enumerate(described):
        if not isinstance(item, dict):
            continue
        number = str(item.get("id"))
        upload = by_number.get(number)
        if upload is not None:
            uploads.append(Upload(item.get("filename") or upload.filename, upload.data, upload.content_type, item.get("description")))
        elif len(number) < 15:  # shorter than any snowflake: it was meant for a file of this request
            raise invalid(("attachments", index, "id"), "ATTACHMENT_NOT_FOUND", "Attachment data not found")
    return uploads


def _parts(raw: bytes, boundary: bytes) -> list[bytes]:
    pieces = (b"\r\n" + raw).split(b"\r\n--" + boundary)
    return [piece.removeprefix(b"\r\n") for piece in pieces[1:] if not piece.startswith(b"--")]
