"""What each account of a mash-up gave: kept with the corpus, and shown in Discord and at the shell."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from bot import cards
from bot.answers import Info
from bot.executor import files
from bot.executor.contract import Attempt, Outcome
from bot.shell import training
from bot.tweets.cleaning import Counts
from bot.tweets.dataset import Part
from storage.characters import CharacterStore
from storage.corpora import CorpusStore, Share
from storage.models import ModelStore
from tests import records
from tests.contracts.fake_executor import work
from tests.desk import desk

SHARES = (Share("heron", 330, 20, 10, 300, "en", 1), Share("wren", 1120, 10, 0, 1110, None, 2))
EACH = (
    "@heron: 300 of 330 kept · English · taught once an epoch",
    "@wren: 1,110 of 1,120 kept · language not plain · taught twice an epoch",
)


async def test_what_the_worker_counted_of_each_account_is_kept(tmp_path: Path) -> None:
    def mixed(attempt: Attempt) -> Outcome:
        counted = [Counts(share.downloaded, share.retweets, share.short, share.kept, 0, 0, 9000) for share in SHARES]
        parts = tuple(Part(one.handle, None, counts, one.language, one.repeats) for one, counts in zip(SHARES, counted, strict=True))
        result = replace(work(attempt), parts=parts)
        files.write_result(attempt.folder, result)
        return Outcome("succeeded", result)

    async with desk(tmp_path, mixed) as one:
        await one.train()
        (character,) = await CharacterStore(one.database).list_all()
        (model,) = await ModelStore(one.database).list(character.id)
        corpus = await CorpusStore(one.database).get(model.corpus_id)
        assert corpus is not None
        assert corpus.shares == SHARES


def test_cards_have_a_line_for_each_account() -> None:
    both = records.character(handle="heron+wren")
    corpus = records.corpus(shares=SHARES)
    card = cards.trained(records.job(handle="heron+wren"), both, records.model(), corpus, samples=("Hm.",), warning=None).content
    info = cards.character_info(Info(both, records.model(), corpus, 2)).content
    for line in EACH:
        assert line in card.splitlines()
        assert line in info.splitlines()
    alone = cards.character_info(Info(records.character(), records.model(), records.corpus(shares=SHARES[:1]), 2))
    assert "an epoch" not in alone.content


@pytest.mark.parametrize("accounts", [SHARES, ()])
def test_the_shells_table_has_a_column_for_each_account(accounts: tuple[Share, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(training, "out", Console(file=shown, width=120))
    training.show_trained(
        {
            "character": "heron+wren",
            "model_version": 1,
            "base": "nano",
            "counts": {"downloaded": 1450, "retweets": 30, "short": 10, "kept": 1410},
            "within_kept": {"duplicates": 0, "cut": 0},
            "accounts": [vars(share) for share in accounts],
            "heldout_loss": {"base": 5.0, "model": 4.0},
            "seconds": 3.0,
            "path": "there",
        }
    )
    rows = [line.replace("│", " ").split() for line in shown.getvalue().splitlines()]
    assert (["Tweets", "kept", "300", "1,110"] in rows) == bool(accounts)
    assert (["Tweets", "kept", "1,410"] in rows) != bool(accounts)
    assert (["Language", "English", "not", "plain"] in rows) == bool(accounts)
    assert (["Taught", "in", "an", "epoch", "once", "twice"] in rows) == bool(accounts)
