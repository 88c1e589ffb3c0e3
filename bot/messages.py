"""A Discord message as plain data, so that the outbox can keep it and tests can read it.

Everything Mynah sends is one of these; `posting.py` turns it into a request, always with no mention allowed. What the messages *say* is
in this file too: one function per message, pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from bot.answers import Why
from bot.jobs import Place
from bot.wording import bar, called, duration, fitted, moment, ordinal, persona_name, picture, plain, tweeting, who
from storage.characters import Character
from storage.jobs import Job
from storage.models import Model
from storage.posts import Post

CONTENT_LIMIT = 2000
"""Characters in one message (Discord)."""


@dataclass(frozen=True)
class Button:
    """A button that survives restarts: its id carries all it needs, such as `job:cancel:12`."""

    label: str
    custom_id: str
    style: Literal["primary", "secondary", "success", "danger"] = "secondary"


@dataclass(frozen=True)
class Persona:
    """Who a webhook message appears to be from. The name says that it is AI."""

    name: str
    avatar_url: str | None = None


@dataclass(frozen=True)
class Message:
    """One message. With a persona it goes through the channel's webhook."""

    content: str
    buttons: tuple[Button, ...] = ()
    persona: Persona | None = None

    def to_dict(self) -> dict[str, Any]:
        """For the outbox, which keeps JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Message":
        """What `to_dict` made."""
        persona = data["persona"]
        return cls(data["content"], tuple(Button(**button) for button in data["buttons"]), Persona(**persona) if persona else None)


def ai_label(handle: str) -> str:
    """What stands under each text."""
    return f"-# AI · not written by {called(handle, 'or')}"


def signed(character: Character) -> str:
    """A character's name, as it signs."""
    return plain(persona_name(character.name, character.handle))


def base_of(model: Model) -> str:
    """A base that is a folder goes by the folder's name: where it lies is nobody's business in a channel."""
    return plain(model.base_name if not model.base_name.startswith("/") else model.base_name.rstrip("/").rpartition("/")[2])


def lines_of(lines: Iterable[str]) -> str:
    """As many whole lines as fit into one message."""
    content = ""
    for line in lines:
        if len(content) + len(line) + 1 > CONTENT_LIMIT - 1:
            return content + "…"
        content += line + "\n"
    return content.rstrip("\n")


# The character speaks.


def spoken(*, name: str, handle: str, text: str, post_id: int, avatar_url: str | None = None) -> Message:
    """What a character says, through the channel's webhook."""
    return Message(
        content=f"{fitted(text, CONTENT_LIMIT // 2)}\n{ai_label(handle)}",
        buttons=(
            Button("Again", f"post:again:{post_id}"),
            Button("Why this?", f"post:why:{post_id}"),
            Button("Report", f"post:report:{post_id}"),
            Button("Delete", f"post:delete:{post_id}", "danger"),
        ),
        persona=Persona(persona_name(name, handle), picture(avatar_url)),
    )


def without_webhook(message: Message) -> Message:
    """The same, said by the bot itself: for a channel in which it may have no webhook."""
    if message.persona is None:
        return message
    return Message(f"**{plain(message.persona.name)}**: {message.content}"[:CONTENT_LIMIT], message.buttons)


def said(posts: Sequence[Post]) -> Message:
    """To the person who asked, about what was posted."""
    return Message(lines_of(_said(post) for post in posts) or "It was deleted while it was said: the account or its character is gone.")


def _said(post: Post) -> str:
    match post.state:
        case "sent":
            return f"Said with seed {post.seed}: {fitted(post.text or '', 120)}"
        case "failed":
            return f"Could not be posted: {post.error}"
        case "unknown":
            return "Discord did not confirm the post, and Mynah cannot see whether it is there: you are asked in the channel."
        case _:
            return f"Will be posted as soon as Discord takes it, with seed {post.seed}."


# Posts that may or may not have arrived, and those that did not.


def question(post: Post) -> Message:
    """To somebody who can look: whether an unknown post is there."""
    sent = moment(post.sending_at or post.created_at, "f")
    lines = [
        f"**Is this post there?** Mynah sent it to <#{post.channel_id}> {sent}. {fitted(post.error or 'Discord did not confirm it.', 300)}",
        *_quoted(post),
        "Look for it in the channel, then press a button. Until then it is not sent again.",
        f"-# Post {post.id} · for whoever called for it, or who manages the server",
    ]
    buttons = Button("It is there", f"post:there:{post.id}", "success"), Button("Post it again", f"post:repeat:{post.id}")
    return Message("\n".join(lines), buttons)


def settled(post: Post) -> Message:
    """What a question becomes once it has been answered."""
    there = post.state == "sent" and post.message_id is None
    return Message("\n".join([f"Post {post.id}: " + ("it is there." if there else "it is posted again."), *_quoted(post)]))


def undelivered_result(post: Post, error: str) -> Message:
    """To the one who asked for a training, when the channel could not be told how it ended."""
    told = Message.from_dict(post.message) if post.message else Message("")
    head = f"Your training has ended, and <#{post.channel_id}> could not be told. {fitted(error, 300)}\n"
    return Message((head + told.content)[:CONTENT_LIMIT])


def undelivered_slot(post: Post, error: str) -> Message:
    """To the one who made a schedule, when it cannot post."""
    return Message(
        f"Schedule {post.schedule_id} cannot post in <#{post.channel_id}>. {fitted(error, 300)} "
        "It tries again at its next time; /schedule remove ends it. You are not told again before it has worked once."
    )


def undelivered_say(post: Post, error: str) -> Message:
    """To the one who wanted a character to speak, when that failed after the reply."""
    return Message("\n".join([f"What you asked for in <#{post.channel_id}> could not be posted. {fitted(error, 300)}", *_quoted(post)]))


def _quoted(post: Post) -> list[str]:
    """How it begins, so that people know it again."""
    content = " ".join(str((post.message or {}).get("content", "")).split())
    return [f"> {fitted(content, 300)}"] if content else []


def why(answer: Why) -> Message:
    """Where a post comes from."""
    post, model = answer.post, answer.model
    lines = [
        f"**Why this?** An AI wrote it, not {called(answer.character.handle, 'or')}.",
        f"Model: {signed(answer.character)} version {model.version}, on {base_of(model)}",
        f"Recipe: {plain(', '.join(f'{key} {value}' for key, value in model.recipe.items()))[:400]}",
        f"Begins with: {fitted(post.prompt, 200) if post.prompt else 'nothing given'}",
        f"Seed: {post.seed} (the same seed, beginning and model give the same text again)",
    ]
    if answer.nearest:
        lines.append(f"Nearest real tweet ({answer.overlap:.0%} in common): {fitted(answer.nearest, 400)}")
    else:
        lines.append("Nearest real tweet: none has anything in common with it.")
    lines.append(f"Dropped before it: {len(answer.dropped)}" if answer.dropped else "Nothing was dropped before it.")
    lines += [f"- {reason}: {fitted(text, 150)}" for text, reason in answer.dropped]
    return Message(lines_of(lines))


# Jobs.


def job(job: Job, place: Place | None = None) -> Message:
    """The message that shows how a job goes, edited as it does. The place is told while it is queued."""
    lines = [f"**Learning how {tweeting(job.handle)}** · job {job.id}", *_state(job, place)]
    return Message("\n".join(lines), (Button("Cancel", f"job:cancel:{job.id}", "danger"),) if job.is_open else ())


def joined(job: Job, place: Place) -> Message:
    """To whoever asks for a character that is being trained already."""
    link = f"\nhttps://discord.com/channels/{job.guild_id}/{job.channel_id}/{job.message_id}" if job.message_id else ""
    return Message(
        "\n".join([f"{called(job.handle)} is being trained already, by job {job.id}; you will see its result.", *_state(job, place)]) + link
    )


def _state(job: Job, place: Place | None) -> list[str]:
    match job.state:
        case "queued":
            return [_queued(place)]
        case "running":
            return _running(job)
        case "succeeded":
            return ["Done."]
        case "cancelled":
            return ["Cancelled."]
        case "waiting":
            again = [f"It is tried again {moment(job.retry_at, 'R')}."] if job.retry_at else []
            return [f"Waiting: {_reason(job)}", *again]
        case _:
            return [f"Failed: {_reason(job)}"]


def _queued(place: Place | None) -> str:
    if place is None:
        return "Queued."
    return f"Queued, {ordinal(place.position)}" + (f", about {duration(place.wait_s)}." if place.wait_s is not None else ".")


def _running(job: Job) -> list[str]:
    progress = job.progress or {"stage": "starting", "fraction": 0.0}
    left = f" · {duration(progress['eta_s'])} left" if progress.get("eta_s") is not None else ""
    lines = [f"`{bar(progress['fraction'])}` {progress['fraction']:.0%} · {progress['stage']}{left}"]
    losses = [f"{words} {progress[key]:.2f}" for key, words in (("loss", "loss"), ("heldout_loss", "held-out loss")) if progress.get(key)]
    if losses:
        lines.append(" · ".join(losses))
    return lines + ([f"-# {plain(progress['note'])}"] if progress.get("note") else [])


def cancelled(job: Job) -> Message:
    """To whoever cancelled."""
    return Message(f"Job {job.id} ({called(job.handle)}) is cancelled.")


def job_line(job: Job) -> str:
    """One line of a list, or a choice offered while typing."""
    percent = f" {job.progress['fraction']:.0%}" if job.state == "running" and job.progress else ""
    return f"{job.id} · @{job.handle} · {job.state}{percent}"


def job_list(jobs: Sequence[Job], doubts: Sequence[Post] = ()) -> Message:
    """The newest jobs of a server, and the first of the posts of which nobody knows whether they arrived."""
    lines = [f"{plain(job_line(job))} · {who(job.user_id)} · {moment(job.created_at, 'R')}" for job in jobs]
    listed = lines_of(lines or ["No job yet: start one with /train."])
    if not doubts:
        return Message(listed)
    asked = question(doubts[0])
    count = f"{len(doubts)} posts" if len(doubts) > 1 else "1 post"
    room = CONTENT_LIMIT - len(asked.content) - 60
    return Message(f"{listed[:room]}\n\n{count} may or may not have arrived. {asked.content}", asked.buttons)


def put_first(job: Job, place: Place) -> Message:
    """To whoever put it first."""
    return Message(f"Job {job.id} ({called(job.handle)}) goes first among those queued in this server. {_queued(place)}")


def failed(job: Job) -> Message:
    """Why a job made nothing."""
    return Message(f"**{called(job.handle)} could not be learned** (job {job.id}, for {who(job.user_id)}): {_reason(job)}")


def _reason(job: Job) -> str:
    return fitted(job.reason or "the log says why.", 1500)
