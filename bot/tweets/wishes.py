"""What an account says about machines that would learn from it: in its profile, or in the records that were made for this."""

import re
from collections.abc import Mapping

RECORDS = ("org.user-intents.declaration", "org.user-intents.demo.declaration", "community.lexicon.preference.ai")
"""Collections of a Bluesky account that can hold a declaration, each under the key `self`: the proposal that Bluesky made (0008), the form
in which it can be tried, and the community's own."""

_INTENTS = {"syntheticContentGeneration", "syntheticContent", "training"}
_NO = {"disallow", "deny", "false", "no"}

_WHAT = r"(?:gen(?:erative)?[ _-]?)?(?:a\.?i\.?|llms?|ml|machine[ _-]?learning)"
_PROFILE = re.compile(
    rf"""
      \#no[nt]?_?(?:to_?|for_?|4)?(?:{_WHAT}|bots?|scrap(?:e|er|ers|ing))_?(?:training|train|learning|scraping|scrape|bots?)?\b
    | \#(?:do_?n[o']?t|never)_?train\w*
    | \b(?:no|not\ for|against|opt(?:ed)?[ -]out\ of)\ (?:(?:the\ )?use\ (?:for|in|by)\ )?{_WHAT}\b(?!\w)
    | \bno[ -]bots\b
    | \b(?:do\ not|don['’]?t|never)\ (?:use\ (?:this|my)\ [\w ]{{1,40}}\ to\ )?
      train\ (?:(?:an?|any|your|the)\ )?(?:{_WHAT}|models?|on\ (?:my|this|me))\b
    | \b{_WHAT}\ (?:training|learning|scraping)\ (?:is\ )?(?:prohibited|forbidden|not\ allowed|not\ permitted|disallowed)\b
    """,
    re.IGNORECASE | re.VERBOSE,
)


def said_in(profile: str) -> str | None:
    """The words of a profile by which its owner wants no bots, or no machine that learns from it; None where there are none."""
    found = _PROFILE.search(" ".join(profile.split()))
    return found[0].strip() if found else None


def labels(value: object) -> set[str]:
    """The names of the labels in a list of Bluesky's that are in force."""
    listed = [label for label in value if isinstance(label, Mapping)] if isinstance(value, list) else []
    return {label["val"] for label in listed if isinstance(label.get("val"), str) and label.get("neg") is not True}


def is_refusal(record: object) -> bool:
    """Whether a declaration, as it stands in one of RECORDS, disallows that synthetic content is made from the account's posts.

    A declaration that does not speak of it, or leaves it open, allows nothing and forbids nothing.
    """
    if not isinstance(record, Mapping):
        return False
    preferences = record.get("preferences")
    intents = {**record, **preferences} if isinstance(preferences, Mapping) else record
    return any(str(name).rpartition(".")[2] in _INTENTS and _is_no(intent) for name, intent in intents.items())


def _is_no(intent: object) -> bool:
    if isinstance(intent, Mapping):
        intent = intent.get("allow")
    return intent is False or (isinstance(intent, str) and intent.lower() in _NO)
