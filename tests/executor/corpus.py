"""Two hundred invented tweets of a lighthouse keeper, enough to train on and quick to learn."""

import json
import random
from pathlib import Path

_WHO = [
    "the gull on the rail",
    "the supply boat",
    "the old lamp",
    "my left boot",
    "the fog",
    "the inspector",
    "a seal",
    "the kettle",
    "the weather report",
    "a visitor with a hat",
    "the spare key",
    "my sister's parrot",
]
_WHAT = [
    "has opinions about",
    "was late for",
    "refuses to discuss",
    "slept through",
    "would not sign for",
    "sang at",
    "misread",
    "is afraid of",
    "wrote a letter to",
    "tripped over",
    "has plans for",
    "was painted by",
]
_WHOM = [
    "the new curtains",
    "the tide table",
    "my soup",
    "the radio",
    "Tuesday",
    "the stairs, all 141 of them",
    "the paperwork",
    "the moon",
    "a crate of lemons",
    "the northern window",
    "the last biscuit",
    "the brass bell",
]
_HOW = [
    "again",
    "before breakfast",
    "without a word",
    "in front of everyone",
    "as usual",
    "and nobody minded",
    "which is new",
    "for an hour",
    "at low water",
    "twice",
    "and then left",
    "like a postman",
]
_AND = [
    "the gulls approve",
    "nobody has been told",
    "I made tea",
    "the light is lit",
    "it is raining sideways",
    "this goes into the book",
    "the rope held",
    "supper was fish",
    "visibility is poor",
    "I blame the wind",
    "the batteries are fine",
    "tomorrow is washing day",
]


def write_corpus(path: Path, *, count: int = 200) -> Path:
    """Write them as JSON lines, with a few retweets and short ones among them."""
    dice = random.Random(7)
    lines = []
    for number in range(count):
        text = f"Log {number}: {dice.choice(_WHO)} {dice.choice(_WHAT)} {dice.choice(_WHOM)} {dice.choice(_HOW)}; {dice.choice(_AND)}."
        lines.append({"id": str(number), "text": text, "created_at": f"2024-03-{number % 28 + 1:02}T08:00:00+00:00"})
    lines += [{"id": f"r{n}", "text": f"RT @keeper: lamp {n} is lit for you all"} for n in range(3)] + [{"id": "s", "text": "Fog."}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path
