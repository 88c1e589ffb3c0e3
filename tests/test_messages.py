"""What the messages say, and that nothing in them breaks out."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import cards, messages, timetable
from bot.answers import Deleted, Info, Why
from bot.jobs import Place
from bot.messages import CONTENT_LIMIT, Button, Message
from bot.wording import duration, fitted, ordinal, persona_name, plain
from tests import records

TEXT = st.text(alphabet=st.one_of(st.sampled_from(" \n*_~`|<>@#[]()-\\.1ab"), st.characters(exclude_categories=["Cs"])), max_size=280)


def shown(content: str) -> str:
    """A content as it is read: escapes taken off."""
    return re.sub(r"\\([^0-9A-Za-z\s])", r"\1", content).replace("\u200b", "")


@pytest.mark.fault(29)
@given(TEXT)
def test_plain_text_is_read_letter_by_letter(text: str) -> None:
    """Other people's text is shown letter by letter: no markdown of it takes effect."""
    assert shown(plain(text)) == text.replace("\u200b", "")


@pytest.mark.fault(29)
@given(TEXT)
def test_plain_text_has_no_markdown_left(text: str) -> None:
    """No markdown of other people's text is left in what Mynah says."""
    bare = re.sub(r"\\[^0-9A-Za-z\s]", "", plain(text))
    assert not re.search(r"[*`]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|~~|\|\||<[@#:/a-z]|@(everyone|here)", bare)
    for line in plain(text).splitlines():
        assert not re.match(r"\s*(#{1,3}\s|>{1,3}\s|-#|-\s|\d+\.\s)", line)


@pytest.mark.parametrize(
    "text", ["snake_case stays", "#hashtag first", "3 < 4", "I <3 ponds", "half-open", "a - b", "[brackets]", "2026. A year"]
)
def test_ordinary_text_is_hardly_touched(text: str) -> None:
    assert plain(text).replace("\\.", ".") == text


@given(TEXT, st.integers(10, 400))
def test_fitted_text_fits(text: str, limit: int) -> None:
    assert len(fitted(text, limit)) <= limit


@given(st.text(max_size=200), st.sampled_from(["heron", "discord_fan", "clyde"]))
def test_a_persona_always_says_that_it_is_ai_and_is_not_refused(name: str, handle: str) -> None:
    signed = persona_name(name, handle)
    assert signed.endswith(" (AI)")
    assert 1 < len(signed) <= 80
    assert "discord" not in signed.lower()
    assert "clyde" not in signed.lower()
    assert "\n" not in signed


@pytest.mark.parametrize(
    ("name", "signed"),
    [
        ("Heron", "Heron (AI)"),
        ("Discord", "Disc0rd (AI)"),
        ("CLYDE of disCORD", "C1YDE of disC0RD (AI)"),
        ("  ", "heron (AI)"),
        ("Already (AI)", "Already (AI)"),
        ("right\u202eto left", "rightto left (AI)"),
        ("x" * 100, "x" * 75 + " (AI)"),
    ],
)
def test_personas(name: str, signed: str) -> None:
    assert persona_name(name, "heron") == signed


@pytest.mark.fault(29)
@given(TEXT, TEXT)
def test_what_is_spoken_ends_with_its_label_and_fits(text: str, name: str) -> None:
    """Whatever a character says fits into one message and ends with the label that an AI wrote it."""
    message = messages.spoken(name=name, handle="grey_heron", text=text, post_id=9)
    words, _, label = message.content.rpartition("\n")
    assert label == "-# AI · not written by @grey_heron"
    assert shown(words) == text.replace("\u200b", "")
    assert len(message.content) <= CONTENT_LIMIT
    assert len(messages.without_webhook(message).content) <= CONTENT_LIMIT
    assert message.persona is not None


def test_the_buttons_of_a_post_carry_its_id() -> None:
    message = messages.spoken(name="Heron", handle="heron", text="Hm.", post_id=9)
    assert [(b.label, b.custom_id) for b in message.buttons] == [
        ("Again", "post:again:9"),
        ("Why this?", "post:why:9"),
        ("Report", "post:report:9"),
        ("Delete", "post:delete:9"),
    ]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://pbs.example.com/a/b.jpg", True),
        ("http://pbs.example.com/a.jpg", False),
        ("https://pbs.example.com/a b.jpg", False),
        ("javascript:alert(1)", False),
        ("https://e.com/" + "a" * 2048, False),
        (None, False),
    ],
)
def test_a_character_shows_the_accounts_picture_where_discord_takes_it(url: str | None, shown: bool) -> None:
    message = messages.spoken(name="Heron", handle="heron", text="Hm.", post_id=9, avatar_url=url)
    assert message.persona is not None
    assert message.persona.avatar_url == (url if shown else None)


def test_a_mash_up_is_labelled_with_all_its_accounts() -> None:
    message = messages.spoken(name="Wren & Heron", handle="heron+wren", text="Hm.", post_id=9)
    assert message.content.endswith("-# AI · not written by @heron or @wren")
    assert message.persona is not None
    assert message.persona.name == "Wren & Heron (AI cyborg)"
    card = cards.trained(
        records.job(handle="heron+wren"),
        records.character(handle="heron+wren"),
        records.model(),
        records.corpus(),
        samples=(),
        warning=None,
    )
    assert "@heron and @wren, version 2" in card.content
    assert "(AI cyborg)" in card.content


def test_the_card_names_the_language_where_it_is_known() -> None:
    for language, row in (("ja", "Language           Japanese"), ("pt", "Language         Portuguese"), (None, None)):
        card = cards.trained(
            records.job(), records.character(), records.model(), records.corpus(language=language), samples=(), warning=None
        )
        assert (row in card.content) if row else ("Language" not in card.content)


def test_a_silent_character_says_why_and_has_no_button() -> None:
    info = cards.character_info(Info(records.character(silenced="@heron has opted out."), records.model(), records.corpus(), 2))
    assert "It may not speak: @heron has opted out." in info.content
    assert not info.buttons
    assert "silent" in cards.character_list([records.character(silenced="@heron has opted out.")]).content


def test_a_job_that_waits_tells_until_when() -> None:
    content = messages.job(records.job(state="waiting", reason="X asks to wait.", retry_at=records.NOON)).content
    assert f"<t:{int(records.NOON.timestamp())}:R>" in content


def test_a_message_survives_the_outbox() -> None:
    for message in (messages.spoken(name="Heron", handle="heron", text="Hm.", post_id=9), Message("plain")):
        assert Message.from_dict(message.to_dict()) == message


def test_without_a_webhook_the_bot_names_the_character() -> None:
    message = messages.without_webhook(messages.spoken(name="He*ron", handle="heron", text="Hm.", post_id=9))
    assert message.persona is None
    assert message.content == "**He\\*ron (AI)**: Hm.\n-# AI · not written by @heron"


def test_a_queued_job_tells_its_place_and_can_be_cancelled() -> None:
    message = messages.job(records.job(), Place(2, 350.0))
    assert "Queued, 2nd, about 6 min" in message.content
    assert [button.custom_id for button in message.buttons] == ["job:cancel:12"]


def test_a_running_job_tells_how_far_it_is() -> None:
    progress = {"stage": "training", "fraction": 0.43, "eta_s": 130.0, "loss": 3.214, "heldout_loss": 3.4, "note": "Little text."}
    content = messages.job(records.job(state="running", progress=progress)).content
    assert "43%" in content
    assert "training" in content
    assert "2 min left" in content
    assert "loss 3.21" in content
    assert "held-out loss 3.40" in content
    assert "Little text." in content
    assert content.count("█") == 9


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled"])
def test_an_ended_job_has_no_cancel_button(state: str) -> None:
    message = messages.job(records.job(state=state, reason="The disk is full."))
    assert not message.buttons
    assert ("The disk is full." in message.content) == (state == "failed")


def test_a_waiting_job_says_why() -> None:
    assert "Waiting: The disk is full." in messages.job(records.job(state="waiting", reason="The disk is full.")).content


def test_a_joined_job_links_to_its_message() -> None:
    content = messages.joined(records.job(message_id=99), Place(1, None)).content
    assert "already" in content
    assert "1st" in content
    assert "/7/8/99" in content


def test_the_card_has_counts_losses_and_samples() -> None:
    samples = tuple(f"Sample {number}" for number in range(5))
    message = cards.trained(records.job(), records.character(), records.model(), records.corpus(), samples=samples, warning="Little text.")
    for row in ("Tweets downloaded     2,450", "Retweets                 12", "Short tweets            112", "Tweets kept           2,326"):
        assert row in message.content
    assert "4.91 → 4.03" in message.content
    assert "Little text." in message.content
    assert all(f"> {sample}" in message.content for sample in samples)
    assert message.content.endswith("-# AI · not written by @heron")
    assert [button.label for button in message.buttons] == ["Say", "Delete"]


def test_the_card_says_how_like_the_author_the_texts_are() -> None:
    judged = records.model(evaluation={"texts": 200.0, "author": 0.84, "author_real": 0.91, "accounts": 4.0, "copied": 0.02})
    for message in (
        cards.trained(records.job(), records.character(), judged, records.corpus(), samples=(), warning=None),
        cards.character_info(Info(records.character(), judged, records.corpus(), 2)),
    ):
        assert "Of 200 texts 84% were taken for the author's, of real tweets 91%" in message.content
    alone = records.model(evaluation={"texts": 200.0, "author": 0.0, "author_real": 0.0, "accounts": 0.0, "copied": 0.0})
    assert "taken for" not in cards.character_info(Info(records.character(), alone, records.corpus(), 2)).content


@given(st.lists(TEXT, max_size=5))
def test_the_card_fits_whatever_the_samples_are(samples: list[str]) -> None:
    warning = "Little. " * 30
    message = cards.trained(records.job(), records.character(), records.model(), records.corpus(), samples=samples, warning=warning)
    assert len(message.content) <= CONTENT_LIMIT
    assert message.content.count("\n> ") == len(samples)


def test_the_folder_of_a_base_is_not_shown() -> None:
    info = Info(records.character(), records.model(base_name="/srv/secret/my-base"), records.corpus(), 2)
    assert "secret" not in cards.character_info(info).content
    assert "my-base" in cards.character_info(info).content


def test_info_before_any_training() -> None:
    assert "cannot speak yet" in cards.character_info(Info(records.character(active_model_id=None), None, None, 0)).content


def test_why_tells_everything_about_a_post() -> None:
    answer = Why(records.post(), records.character(), records.model(), "The pond was mine", 0.6, (("The pond", "too short"),))
    content = messages.why(answer).content
    for part in ("version 2", "nano", "rank 16", "The pond", "77", "60%", "The pond was mine", "too short"):
        assert part in content


def test_why_says_when_no_real_tweet_is_near() -> None:
    assert "Nearest real tweet: none" in messages.why(Why(records.post(), records.character(), records.model(), None, 0.0, ())).content


@given(st.lists(st.tuples(TEXT, TEXT), max_size=30), TEXT)
def test_why_fits(dropped: list[tuple[str, str]], nearest: str) -> None:
    answer = Why(records.post(), records.character(), records.model(recipe={"x": "y" * 3000}), nearest, 0.6, tuple(dropped))
    assert len(messages.why(answer).content) <= CONTENT_LIMIT


def test_lists_fit_and_say_when_there_is_nothing() -> None:
    assert "/train" in messages.job_list([]).content
    assert "/train" in cards.character_list([]).content
    assert "/schedule add" in timetable.listed([], {}).content
    for many in (
        messages.job_list([records.job(id=n, handle="h" * 63) for n in range(100)]),
        cards.character_list([records.character(id=n, name="N" * 500) for n in range(100)]),
        timetable.listed([records.schedule(id=n) for n in range(100)], {3: "h" * 63}),
    ):
        assert len(many.content) <= CONTENT_LIMIT
        assert many.content.endswith("…")


def test_what_was_said_tells_seed_or_reason() -> None:
    said = messages.said(
        [records.post(), records.post(state="failed", error="The channel is gone."), records.post(state="unknown")]
    ).content
    assert "seed 77" in said
    assert "The channel is gone." in said
    assert "did not confirm" in said


def test_deleting_asks_first() -> None:
    message = cards.confirm_delete(Info(records.character(handle="h" * 63), records.model(), records.corpus(), 2))
    assert message.buttons[0].custom_id == f"character:erase:{'h' * 63}"
    assert all(len(button.label) <= 80 and len(button.custom_id) <= 100 for button in message.buttons)
    assert "Trained versions that went with it: 2" in cards.deleted(Deleted("heron", "Heron", 2, 1)).content


@pytest.mark.parametrize(
    ("number", "words"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (21, "21st"), (112, "112th")]
)
def test_ordinals(number: int, words: str) -> None:
    assert ordinal(number) == words


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "1 s"), (40, "40 s"), (59.7, "1 min"), (360, "6 min"), (4800, "1 h 20 min")])
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_whatever_is_asked_or_told_about_a_post_fits_into_one_message() -> None:
    long = records.post(state="unknown", error="e" * 3000, message=Message("w" * CONTENT_LIMIT).to_dict())
    many = [records.job(id=10**15 + number, handle="h" * 62) for number in range(25)]
    made = [
        messages.question(long),
        messages.settled(long),
        messages.undelivered_result(long, "e" * 3000),
        messages.undelivered_slot(long, "e" * 3000),
        messages.undelivered_say(long, "e" * 3000),
        messages.job_list(many, [long, long]),
    ]
    assert [len(message.content) <= CONTENT_LIMIT for message in made] == [True] * len(made)
    assert made[-1].buttons == made[0].buttons
    assert "2 posts may or may not have arrived" in made[-1].content


def test_a_question_that_was_answered_says_how() -> None:
    assert "it is there" in messages.settled(records.post(state="sent", message_id=None)).content
    for state, message_id in (("pending", None), ("sending", None), ("sent", 5)):
        assert "posted again" in messages.settled(records.post(state=state, message_id=message_id)).content


def test_what_a_person_is_told_alone_has_no_buttons_that_need_a_server() -> None:
    told = messages.undelivered_result(
        records.post(message=Message("The card", (Button("Say", "character:say:heron"),)).to_dict()), "The channel is gone."
    )
    assert told.buttons == ()
    assert "The card" in told.content
