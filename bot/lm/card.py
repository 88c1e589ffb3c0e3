"""The model card of a character: what it is, what it was taught, how well that went, and what it must not be taken for."""

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import regex

from bot.lm.verdict import Evaluation, verdict


@dataclass(frozen=True)
class Card:
    """The fields of a card. Names may hold anything: all are escaped where they stand."""

    handle: str
    """Without @."""
    name: str
    """Display name."""
    base_name: str
    downloaded: int
    retweets: int
    short: int
    kept: int
    evaluation: Evaluation
    steps: int
    seconds: float
    seed: int
    dataset_sha256: str
    trained_at: datetime
    recipe: Mapping[str, Any] = field(default_factory=dict)


def render(card: Card) -> str:
    """The card as README.md."""
    name, handle, base = escape(card.name), escape(card.handle), escape(card.base_name)
    settings = "\n".join(f"| {escape(str(k))} | {escape(str(v))} |" for k, v in card.recipe.items())
    return f"""---
{_front_matter(card)}
---

<div style="text-align: center; line-height: 1.5">
  <div style="font-weight: 800">🤖 AI BOT 🤖</div>
  <div style="font-weight: 800">{html.escape(_line(card.name))}</div>
  <div>@{html.escape(_line(card.handle))}</div>
</div>

{_warning(card.evaluation)}This model writes short texts in the manner of @{handle}. A machine makes them up: {name} wrote none of them
and vouches for none of them.

## How it works

Mynah reads a person's tweets, cleans them, sets a part of them aside, and teaches the rest to a language model that already knows the
language. What is learnt is kept in a few megabytes beside the unchanged base.

## Training data

| Data | {name} |
| --- | --- |
| Tweets downloaded | {card.downloaded} |
| Retweets | {card.retweets} |
| Short tweets | {card.short} |
| Tweets kept | {card.kept} |

Fingerprint of the cleaned tweets (SHA-256): `{html.escape(_line(card.dataset_sha256))}`

## Training

The base is {base}. Trained on {card.trained_at:%d %B %Y} in {card.steps} steps and {card.seconds:.0f} seconds, with the seed {card.seed}.

| Setting | Value |
| --- | --- |
{settings}

## Evaluation

{_evaluation(card.evaluation)}

## Use

```sh
mynah say {_word(card.handle)} --prompt "My dream is" -n 5
```

or `/say` in a Discord server where Mynah is. The same seed gives the same text again.

## Limits

- Nothing it says is a fact, a quotation or an opinion of {name}. Show its texts as AI, always.
- It repeats what its base and the tweets contain, mistakes and prejudice included.
- It knows nothing that happened after its last tweet, and little that its tweets do not mention.
- Texts that copy a tweet are dropped when it speaks through Mynah; used in another way, the model may repeat tweets word for word.

## About

Made with Mynah, after the idea of [huggingtweets](https://github.com/borisdayma/huggingtweets) by Boris Dayma.
"""


def _warning(e: Evaluation) -> str:
    sentence = verdict(e)
    return f"> **Beware.** {sentence}\n\n" if sentence else ""


def _evaluation(e: Evaluation) -> str:
    """What the figures are, and the figures."""
    return f"""How well the model foretells tweets that were set aside and never taught, beside its base without it. Less is better.

| Loss on tweets set aside | nats per token | bits per byte |
| --- | --- | --- |
| the base | {e.heldout_base:.3f} | {e.bits_base:.3f} |
| this model | {e.heldout_model:.3f} | {e.bits_model:.3f} |

On tweets that it was taught its loss is {e.taught_model:.3f} nats per token: the further this lies below the other, the more it has
learnt by heart.

What {e.texts} of its texts are like, written without a beginning and before anything was dropped, beside real tweets:

| | its texts | real tweets |
| --- | --- | --- |
| copies of a tweet | {e.copied:.1%} | {e.copied_real:.1%} |
| copies among what passes the screen | {e.copied_shown:.1%} | |
| different pairs of words (distinct-2) | {e.distinct:.1%} | {e.distinct_real:.1%} |
| near-repeats of each other | {e.repeated:.1%} | {e.repeated_real:.1%} |
{_author_row(e)}

{_contest(e)}"""


def _author_row(e: Evaluation) -> str:
    return f"| taken for the author's | {e.author:.1%} | {e.author_real:.1%} |" if e.accounts else "| taken for the author's | | |"


def _contest(e: Evaluation) -> str:
    if not e.accounts:
        return "There were no texts that a classifier could have told apart."
    return (
        f"The last row is a plain classifier's, which learnt to tell {e.accounts} accounts apart by their letters and words (the base's\n"
        "own texts count as one) and saw none of the tweets set aside. It was shown the texts that pass the screen: they reach\n"
        f"{e.likeness:.0%} of what real tweets do."
    )


def escape(text: str) -> str:
    """The text on one line, so that Markdown, its tables and HTML show it as it is."""
    return regex.sub(r"([\\`*_{}\[\]()#+!|~$@-])", r"\\\1", html.escape(_line(text), quote=False))


def _front_matter(card: Card) -> str:
    # JSON is YAML too, and quotes every name safely.
    fields = {
        "base_model": card.base_name,
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "tags": ["mynah", "tweets", "ai-generated"],
        "widget": [{"text": "My dream is"}],
    }
    return "\n".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items())


def _line(text: str) -> str:
    return " ".join(regex.sub(r"[\p{Cc}\u2028\u2029]", " ", text).split())


def _word(text: str) -> str:
    return "".join(regex.findall(r"\w", text))
