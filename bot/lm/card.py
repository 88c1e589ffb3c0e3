"""The model card of a character: what it is, what it was taught, how well that went, and what it must not be taken for."""

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import regex

from bot.lm.verdict import Evaluation, verdict
from bot.tweets.dataset import Part
from bot.tweets.language import name_of


@dataclass(frozen=True)
class Card:
    """The fields of a card. Names may hold anything: all are escaped where they stand."""

    handle: str
    """Without @."""
    name: str
    """Display name; of a mash-up `A & B`."""
    base_name: str
    accounts: tuple[Part, ...]
    """Whose tweets it was taught: one, or two or three for a mash-up."""
    evaluation: Evaluation
    steps: int
    seconds: float
    seed: int
    dataset_sha256: str
    trained_at: datetime
    recipe: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """Sentences that whoever uses the model should read."""

    @property
    def is_mash_up(self) -> bool:
        """Whether it learnt from more than one account."""
        return len(self.accounts) > 1


def render(card: Card) -> str:
    """The card as README.md."""
    name, handles, base = escape(card.name), escape(_handles(card)), escape(card.base_name)
    bot, vouches, a_person_s = ("CYBORG", "vouch", "several people's") if card.is_mash_up else ("BOT", "vouches", "a person's")
    settings = "\n".join(f"| {escape(str(k))} | {escape(str(v))} |" for k, v in card.recipe.items())
    return f"""---
{_front_matter(card)}
---

<div style="text-align: center; line-height: 1.5">
  <div style="font-weight: 800">🤖 AI {bot} 🤖</div>
  <div style="font-weight: 800">{html.escape(_line(card.name))}</div>
  <div>{html.escape(_line(_handles(card)))}</div>
</div>

{_warning(card.evaluation)}This model writes short texts in the manner of {handles}. A machine makes them up: {name} wrote none
of them and {vouches} for none of them.

## How it works

Mynah reads {a_person_s} tweets, cleans them, sets a part of them aside, and teaches the rest to a language model that already knows the
language. What is learnt is kept in a few megabytes beside the unchanged base.

## Training data

{_training_data(card)}

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


def _handles(card: Card) -> str:
    return " & ".join(f"@{part.handle}" for part in card.accounts)


def _training_data(card: Card) -> str:
    """The count table, a column for each account, and what there is to say of it."""
    rows: list[tuple[str, list[str]]] = [
        ("Data", [escape(part.name or part.handle) for part in card.accounts]),
        ("---", ["---" for _ in card.accounts]),
        ("Tweets downloaded", [str(part.counts.downloaded) for part in card.accounts]),
        ("Retweets", [str(part.counts.retweets) for part in card.accounts]),
        ("Short tweets", [str(part.counts.short) for part in card.accounts]),
        ("Tweets kept", [str(part.counts.kept) for part in card.accounts]),
        ("Language", [name_of(part.language) if part.language else "not plain" for part in card.accounts]),
    ]
    if card.is_mash_up:
        rows.append(("Times taught in an epoch", [str(part.repeats) for part in card.accounts]))
    table = "\n".join(f"| {' | '.join([title, *cells])} |" for title, cells in rows)
    return "\n\n".join([table, *(escape(note) for note in card.notes)])


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
    languages = sorted({part.language for part in card.accounts if part.language})
    fields = {
        "base_model": card.base_name,
        **({"language": languages} if languages else {}),
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "tags": ["mynah", "tweets", "ai-generated"],
        "widget": [{"text": "My dream is"}],
    }
    return "\n".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items())


def _line(text: str) -> str:
    return " ".join(regex.sub(r"[\p{Cc}\u2028\u2029]", " ", text).split())


def _word(text: str) -> str:
    """What of a handle may stand in a command: nothing that a shell or `mynah` would take for more than a name."""
    return "".join(regex.findall(r"\w|(?<=\w)[.@+-](?=\w)", text))
