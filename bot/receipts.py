"""What people are told about their accounts and their data: opted out, forgotten, reported. Pure."""

import io
import zipfile

from bot.errors import NotAllowed
from bot.forgotten import Receipt
from bot.messages import Button, Message, lines_of
from bot.privacy import OptedOut
from bot.wording import called, counted, fitted, plain, who
from storage.posts import Post
from storage.privacy import Report


def opted_out(done: OptedOut) -> Message:
    """To whoever asked for it."""
    name = called(done.handle)
    head = (
        f"{name} had opted out already." if done.already else f"{name} is opted out: Mynah learns nothing from it any more, in any server."
    )
    ended = [
        counted(done.characters, "character") + (" is" if done.characters == 1 else " are") + " silent from now on",
        counted(done.jobs + done.requests, "training") + (" was" if done.jobs + done.requests == 1 else " were") + " cancelled",
    ]
    lines = [
        head + f" {ended[0].capitalize()}, and {ended[1]}.",
        "What was learned of it before is silent and still there until it is forgotten: that is the button below.",
        "-# The name is kept as a digest, which can be compared and not read · you can take this back with /privacy opt-in",
    ]
    return Message("\n".join(lines), (Button("Forget it as well", f"privacy:forget:{done.handle}", "danger"),))


def opted_in(handle: str) -> Message:
    """To whoever took it back."""
    return Message(f"{called(handle)} is no longer opted out: Mynah may learn from it again, where somebody says what entitles them.")


def ask_to_forget(handle: str, *, manages: bool) -> Message:
    """Before an account is forgotten: what goes, and why the person may ask for it."""
    goes = "its tweets, every version that was trained on them, its schedules, trainings that were asked for, and what it said in channels"
    lines = [
        f"**Forget {called(handle)}?** Deleted for good: {goes}, as far as Discord lets Mynah delete that.",
        "A mash-up that learned from it among others goes too, or falls silent until it is trained again without it.",
        "Why may you have it forgotten? The answer is kept with your name, and of the account a digest, so that it stays forgotten.",
    ]
    buttons = [Button("It is mine, or I act for its owner: forget it in every server", f"forget:own:{handle}", "danger")]
    if manages:
        buttons.append(Button("I manage this server: forget it here only", f"forget:manager:{handle}", "danger"))
    return Message("\n".join(lines), tuple(buttons))


def ask_to_forget_user(user_id: int) -> Message:
    """Before a Discord user is forgotten."""
    goes = "what you asked for, what characters said for you, your schedules, and what you declared and reported"
    lines = [
        f"**Forget everything about you?** Deleted for good, in every server: {goes}.",
        "An account that you declared your own goes with all that was learned from it. What others taught stays, without your name.",
        "An opt-out that you asked for stays too: then only the operator of this bot can take it back.",
    ]
    return Message("\n".join(lines), (Button("Forget me", f"forget:me:{user_id}", "danger"),))


def forgotten(receipt: Receipt) -> Message:
    """What went, and what is still going."""
    lines = [f"**Forgotten: {plain(receipt.name)}** · receipt {receipt.id}", *(f"- {plain(line)}" for line in receipt.lines)]
    return Message(lines_of(lines), (Button("How far is it now?", f"forget:receipt:{receipt.id}"),) if receipt.due or receipt.again else ())


def enclosed(held: bytes, *, limit: int) -> tuple[str, bytes]:
    """The name and the content of the file with somebody's data: packed when Discord takes no more than `limit` bytes. For a thread.

    Raises:
        NotAllowed: it is too large even so.
    """
    if len(held) <= limit:
        return "my-data.json", held
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("my-data.json", held)
    if packed.tell() > limit:
        raise NotAllowed(
            f"What is kept about you takes {packed.tell() / 2**20:,.0f} MiB and Discord takes {limit / 2**20:,.0f} MiB: "
            "ask the operator of this bot for it, who finds it by your Discord id."
        )
    return "my-data.zip", packed.getvalue()


def my_data(held: bytes) -> Message:
    """With that file."""
    return Message(
        f"Everything that Mynah keeps about you, {len(held):,} bytes of JSON: what you asked for, said and set, here and in other servers, "
        "and the tweets of accounts that you declared your own. /privacy forget deletes it."
    )


def reported(report: Report, *, told: bool) -> Message:
    """To whoever reported."""
    whom = "the managers of this server are told" if told else "it is kept, though this server has nobody who is told"
    return Message(f"Thank you. This is report {report.id}, and {whom}.")


def report(report: Report, post: Post | None) -> Message:
    """To the managers."""
    named = called(report.handle) if report.handle else "a character that is gone"
    lines = [
        f"**Report {report.id}**: {who(report.user_id)} reports {'a post of ' if post else ''}{named}, in <#{report.channel_id}>.",
        f"> {fitted(' '.join(report.reason.split()), 1200)}",
    ]
    buttons: list[Button] = []
    if post is not None:
        lines.append(f"https://discord.com/channels/{post.guild_id}/{post.channel_id}/{post.message_id}")
        buttons.append(Button("Delete the post", f"post:delete:{post.id}", "danger"))
    if report.handle:
        buttons.append(Button("Delete the character", f"character:delete:{report.handle}", "danger"))
    return Message("\n".join(lines), tuple(buttons))
