"""Cards: what characters are, what they were taught and how well that went, as messages. Pure."""

from collections.abc import Sequence

from bot.answers import Deleted, Info
from bot.messages import CONTENT_LIMIT, Button, Message, ai_label, base_of, lines_of, signed
from bot.tweets.language import name_of
from bot.wording import called, duration, fitted, moment, plain, times, who
from storage.characters import Character
from storage.corpora import Corpus
from storage.jobs import Job
from storage.models import Model


def trained(job: Job, character: Character, model: Model, corpus: Corpus, *, samples: Sequence[str], warning: str | None) -> Message:
    """The card of a new model: counts, held-out losses, samples."""
    lines = [
        f"**{signed(character)} can speak now**: {called(character.handle)}, version {model.version}",
        _counts(corpus),
        _losses(model) + f" · {model.steps} steps in {duration(model.seconds)} · asked for by {who(job.user_id)}",
        *_judged(model),
        *([f"-# {plain(warning)}"] if warning else []),
    ]
    label = ai_label(character.handle)
    room = (CONTENT_LIMIT - len("\n".join([*lines, label])) - 1) // max(1, len(samples)) - len("\n> ")
    lines += [f"> {fitted(' '.join(sample.split()), room)}" for sample in samples]
    buttons = (
        Button("Say", f"character:say:{character.handle}", "primary"),
        Button("Delete", f"character:delete:{character.handle}", "danger"),
    )
    return Message("\n".join([*lines, label]), buttons)


def _counts(corpus: Corpus) -> str:
    table = {
        "Tweets downloaded": corpus.downloaded,
        "Retweets": corpus.retweets,
        "Short tweets": corpus.short,
        "Tweets kept": corpus.kept,
    }
    rows = [f"{words:<18}{number:>9,}" for words, number in table.items()]
    if corpus.language:
        rows.append(f"{'Language':<17}{name_of(corpus.language):>10}")
    return "\n".join(["```", *rows, "```", *_shares(corpus)])


def _shares(corpus: Corpus) -> list[str]:
    """A line for each account of a mash-up."""
    if len(corpus.shares) < 2:
        return []
    return [
        f"{called(share.handle)}: {share.kept:,} of {share.downloaded:,} kept · "
        f"{name_of(share.language) if share.language else 'language not plain'} · taught {times(share.repeats)} an epoch"
        for share in corpus.shares
    ]


def _losses(model: Model) -> str:
    return f"Held-out loss {model.heldout_base:.2f} → {model.heldout_model:.2f} ({base_of(model)} → this model)"


def _judged(model: Model) -> list[str]:
    """How like the author its texts are, where there was a contest."""
    figures = model.evaluation
    if not figures.get("accounts"):
        return []
    sentence = (
        f"Of {figures['texts']:.0f} texts {figures['author']:.0%} were taken for the author's, of real tweets {figures['author_real']:.0%} "
        f"(a classifier over {figures['accounts']:.0f} accounts) · {figures['copied']:.0%} were copies, which are never posted"
    )
    return [sentence]


def character_list(characters: Sequence[Character]) -> Message:
    """Who can speak in a server."""
    if not characters:
        return Message("No character yet: train one with /train.")
    return Message(lines_of(f"{called(c.handle)} · {signed(c)}" + (" · silent" if c.silenced else "") for c in characters))


def character_info(info: Info) -> Message:
    """Everything about one character."""
    character, model, corpus = info.character, info.model, info.corpus
    lines = [f"**{signed(character)}** · {called(character.handle)} · asked for by {who(character.created_by)}"]
    if model is None or corpus is None:
        return Message("\n".join([*lines, character.silenced or "It cannot speak yet: no training has ended."]))
    lines += [
        *([f"It may not speak: {plain(character.silenced)}"] if character.silenced else []),
        f"Version {model.version} of {info.versions}, made {moment(model.created_at, 'f')} on {base_of(model)}",
        _losses(model),
        *_judged(model),
        f"Learned from {plain(corpus.file_name)}" + _span(corpus),
        _counts(corpus),
    ]
    return Message("\n".join(lines), () if character.silenced else (Button("Say", f"character:say:{character.handle}", "primary"),))


def _span(corpus: Corpus) -> str:
    if corpus.first_tweet_at is None or corpus.last_tweet_at is None:
        return ""
    return f", {corpus.first_tweet_at:%Y-%m-%d} to {corpus.last_tweet_at:%Y-%m-%d}"


def confirm_delete(info: Info) -> Message:
    """Before a character goes."""
    character = info.character
    return Message(
        f"Delete {signed(character)} ({called(character.handle)}) with its {info.versions} versions, "
        "what it learned from and its schedules? This cannot be undone.",
        (Button(f"Delete @{character.handle}"[:80], f"character:erase:{character.handle}", "danger"),),
    )


def deleted(gone: Deleted) -> Message:
    """After a character went."""
    return Message(f"{called(gone.handle)} is deleted. Trained versions that went with it: {gone.models}. Schedules: {gone.schedules}.")
