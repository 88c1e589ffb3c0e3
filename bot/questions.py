"""What is asked before a training may begin: what entitles the member, whether it may cost that much, whether a manager approves."""

from collections.abc import Sequence

from bot.messages import CONTENT_LIMIT, Button, Message, lines_of
from bot.spending import Cost
from bot.wording import called, fitted, moment, tweeting, who
from storage.guilds import GuildSettings
from storage.posts import Post
from storage.requests import Claim, Request

CLAIMS: dict[Claim, tuple[str, str, str]] = {
    "own": ("This is my account", "These are my accounts", "it is their own account"),
    "agreed": ("Its owner agreed", "Their owners agreed", "its owner agreed"),
    "public": (
        "An organisation, a bot or a fictional character",
        "Organisations, bots or fictional characters",
        "it is an organisation, a bot or a fictional character",
    ),
}
"""What a member can say: on the button for one account, for several, and as others are told it."""


def before(request: Request, cost: Cost | None) -> Message:
    """To the member: what entitles them, unless they have said so, and whether it may cost that much."""
    several = len(request.training.materials) > 1
    lines = [f"**Before Mynah learns how {tweeting(request.handle)}**, from {_sources(request)}:"]
    if request.basis is None:
        lines.append(
            f"What entitles you to {'all of them' if several else 'it'}? The answer is kept, with your name, this channel and the time."
        )
        buttons = [Button(labels[1 if several else 0], f"request:{claim}:{request.id}", "primary") for claim, labels in CLAIMS.items()]
    else:
        lines.append(f"You said: {CLAIMS[request.basis][1 if several else 0]}. Shall it be read for this price?")
        buttons = [Button("Read it", f"request:go:{request.id}", "primary")]
    if cost is not None:
        lines.append(price(cost) + (" Your answer agrees to that." if request.basis is None else ""))
    lines.append(f"-# For {who(request.user_id)} to answer · request {request.id} · dropped after 7 days, with what was uploaded")
    return Message("\n".join(lines), (*buttons, Button("Cancel", f"request:cancel:{request.id}")))


def price(cost: Cost) -> str:
    """What is agreed to before it is spent: at most so much, of what there is."""
    return (
        f"It costs the operator up to ${cost.usd:,.2f} at X, for up to {cost.posts:,} posts; "
        f"${cost.left_usd:,.2f} of this month's ${cost.budget_usd:,.2f} are left."
        + ("" if cost.is_affordable else " It is refused when there are more posts than that pays for.")
    )


def waits(request: Request, channel_id: int | None) -> Message:
    """What the question becomes when a manager has to approve."""
    where = f"in <#{channel_id}>" if channel_id else "of this server"
    return Message(
        f"**To learn how {tweeting(request.handle)}** is asked for by {who(request.user_id)}, who says that {_claimed(request)}. "
        f"The managers {where} are asked to approve it; nothing is read before they do.\n-# Request {request.id}"
    )


def approval(request: Request) -> Message:
    """To the managers."""
    says = f"{who(request.user_id)} asks for it in <#{request.channel_id}> and says that {_claimed(request)}. From {_sources(request)}."
    lines = [
        f"**May Mynah learn how {tweeting(request.handle)}?** {says}",
        f"-# Request {request.id} · for those with Manage Server · asked {moment(request.created_at, 'R')}, dropped after 7 days",
    ]
    buttons = Button("Approve", f"request:approve:{request.id}", "success"), Button("Deny", f"request:deny:{request.id}", "danger")
    return Message("\n".join(lines), buttons)


def approved(request: Request, by: int) -> Message:
    """What the question to the managers becomes."""
    return Message(f"Approved by {who(by)}: {called(request.handle)}, asked for by {who(request.user_id)} in <#{request.channel_id}>.")


def refused(request: Request, by: int) -> Message:
    """What the question to the managers becomes."""
    return Message(f"Denied by {who(by)}: {called(request.handle)}, asked for by {who(request.user_id)} in <#{request.channel_id}>.")


def denied(request: Request) -> Message:
    """To the channel where it was asked for."""
    return Message(f"The managers did not approve that Mynah learns how {tweeting(request.handle)}, for {who(request.user_id)}.")


def withdrawn(request: Request) -> Message:
    """What the question becomes when its member does not want it any more."""
    return Message(f"Not learned: {called(request.handle)}. What was uploaded is deleted.")


def closed(request: Request) -> str:
    """Why a request cannot be answered any more."""
    return {
        "accepted": "This was answered already, and the training is queued: /jobs list shows it.",
        "denied": "A manager has denied this already.",
        "withdrawn": "This question is closed, and what was uploaded for it is deleted: ask again with /train.",
        "expired": "This was not answered for 7 days, so what was uploaded for it is deleted: ask again with /train.",
    }[request.state]


def undelivered(post: Post, error: str) -> Message:
    """To the server's owner, when the managers' channel does not take what they are to be told."""
    told = Message.from_dict(post.message) if post.message else Message("")
    head = (
        f"Mynah could not tell the managers of your server in <#{post.channel_id}>. {fitted(error, 300)} Choose a channel for that with "
        "/settings moderation: trainings that wait for approval are asked about there. It was:\n"
    )
    return Message((head + told.content)[:CONTENT_LIMIT])


def settings(settings: GuildSettings, waiting: Sequence[Request], *, writable: bool) -> Message:
    """What the managers of a server have set, and the requests that wait for them. `writable`: Mynah may write in their channel."""
    channel = f"<#{settings.moderation_channel}>" if settings.moderation_channel else "none: reports go to the server's owner alone"
    if settings.moderation_channel and not writable:
        channel += " is gone, or Mynah may not write there: choose another with /settings moderation. Until then the server's owner is told"
    lines = [
        f"Moderation channel: {channel}",
        f"A training needs a manager's approval: {'yes' if settings.approval else 'no'}",
        *([f"Set by {who(settings.set_by)} {moment(settings.set_at, 'f')}"] if settings.set_by else []),
        *([f"Waiting for approval: {len(waiting)}"] if waiting else []),
        *(f"- {called(r.handle)} · asked for by {who(r.user_id)} in <#{r.channel_id}> {moment(r.created_at, 'R')}" for r in waiting),
    ]
    return Message(lines_of(lines))


def _sources(request: Request) -> str:
    return " and ".join(fitted(material.file_name, 150) for material in request.training.materials)


def _claimed(request: Request) -> str:
    return CLAIMS[request.basis][2] if request.basis else "nothing"
