"""A modal: the form that a bot opens, and the components that a submission carries."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.localdiscord.interactions import Interaction
from bot.localdiscord.messages import ACTION_ROW, LABEL, STRING_SELECT, TEXT_INPUT, walk
from bot.localdiscord.options import NotPossible

Json = dict[str, Any]


@dataclass(frozen=True)
class Modal:
    """A form that the bot opened."""

    interaction: Interaction
    title: str
    custom_id: str
    components: tuple[Json, ...]

    @property
    def fields(self) -> dict[str, Json]:
        """What can be filled in, by custom_id."""
        return {part["custom_id"]: part for part in walk(self.components) if "custom_id" in part}

    def label_of(self, custom_id: str) -> str:
        for part in walk(self.components):
            inner = part.get("component")
            if part.get("custom_id") == custom_id and part.get("label"):
                return str(part["label"])
            if isinstance(inner, dict) and inner.get("custom_id") == custom_id:
                return str(part["label"])
        return custom_id


def submitted_modal(modal: Modal, values: Mapping[str, object]) -> list[Json]:
    """The `components` of a modal submission.

    Raises:
        NotPossible: an unknown field, a missing one, or a value that does not fit.
    """
    names = {custom_id: {custom_id, modal.label_of(custom_id)} for custom_id in modal.fields}
    unknown = [name for name in values if not any(name in known for known in names.values())]
    if unknown:
        raise NotPossible(f"the modal {modal.title!r} has no field {unknown}, only {sorted(names)}")
    given = {custom_id: value for custom_id, known in names.items() for name, value in values.items() if name in known}
    return [_part(part, given, index + 1) for index, part in enumerate(modal.components)]


def _part(part: Json, given: Mapping[str, object], number: int) -> Json:
    body: Json = {"type": part["type"], "id": part.get("id") or number}
    if part["type"] == ACTION_ROW:
        return body | {"components": [_field(item, given, number + 100) for item in part["components"]]}
    if part["type"] == LABEL:
        return body | {"component": _field(part["component"], given, number + 100)}
    return body


def _field(part: Json, given: Mapping[str, object], number: int) -> Json:
    custom_id = part["custom_id"]
    body: Json = {"type": part["type"], "id": part.get("id") or number, "custom_id": custom_id}
    if part["type"] == TEXT_INPUT:
        return body | {"value": _text(part, given.get(custom_id, part.get("value") or ""))}
    if part["type"] == STRING_SELECT:
        return body | {"values": _chosen(part, given.get(custom_id, []))}
    raise NotPossible(f"nobody has taught this client to fill in a component of type {part['type']} ({custom_id!r})")


def _text(part: Json, value: object) -> str:
    custom_id = part["custom_id"]
    if not isinstance(value, str):
        raise NotPossible(f"the field {custom_id!r} takes text, not {value!r}")
    if not value and part.get("required") is not False:
        raise NotPossible(f"the field {custom_id!r} is required")
    least, most = part.get("min_length") or 0, part.get("max_length") or 4000
    if value and not least <= len(value) <= most:
        raise NotPossible(f"the field {custom_id!r} takes {least} to {most} characters, not {len(value)}")
    return value


def _chosen(part: Json, values: object) -> list[str]:
    chosen = [values] if isinstance(values, str) else values
    if not isinstance(chosen, list | tuple):
        raise NotPossible(f"the field {part['custom_id']!r} takes a list of options, not {values!r}")
    known = {option["label"]: option["value"] for option in part["options"]} | {
        option["value"]: option["value"] for option in part["options"]
    }
    if any(value not in known for value in chosen):
        raise NotPossible(f"the field {part['custom_id']!r} offers {sorted(known)}, not {chosen}")
    if not chosen and part.get("required") is not False:
        raise NotPossible(f"the field {part['custom_id']!r} is required")
    return [str(known[value]) for value in chosen]
