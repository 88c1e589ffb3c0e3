"""From the sources of a spec to a dataset: whose they are, what is kept of each, and how accounts are mixed."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from bot.digests import digest
from bot.errors import BadInput, NotAllowed, TooLittleText
from bot.executor.contract import SpecSource, TrainSpec
from bot.executor.material import Material, MaterialReader
from tests.tweets.builders import manifest_js, tweet, tweets_js, zipped
from tests.tweets.test_language import TEXTS

SALT = "grains"


def archive(
    folder: Path, handle: str, *, language: str = "en", count: int = 120, basis: str = "agreed", named: str | None = None
) -> SpecSource:
    """A source whose file names `named` as its account, or `handle`."""
    texts = [f"{TEXTS[language].format(n=n)} {handle} {'very ' * 5}" for n in range(count)]
    files = {
        "data/manifest.js": manifest_js("data/tweets.js", handle=named or handle, name=handle.title()),
        "data/tweets.js": tweets_js([*(tweet(text, n) for n, text in enumerate(texts)), tweet("RT @robin: look at this pond", 999)]),
    }
    path = folder / f"{handle}-{language}.zip"
    path.write_bytes(zipped(files))
    return SpecSource(handle, str(path), f"archive of {handle}.zip", basis)


def spec(*sources: SpecSource, **more: object) -> TrainSpec:
    made = TrainSpec(1, 1, "+".join(source.handle for source in sources), sources, "nano", "nano", seed=3)
    return replace(made, **more)  # type: ignore[arg-type]  # fields of TrainSpec


def read(made: TrainSpec) -> tuple[Material, list[dict[str, object]]]:
    corpus, shares = io.StringIO(), list[float]()
    material = MaterialReader(made, corpus, shares.append).read()
    assert shares == sorted(shares)
    assert all(0 <= share < 1 for share in shares)
    return material, [json.loads(line) for line in corpus.getvalue().splitlines()]


def test_one_account(tmp_path: Path) -> None:
    material, corpus = read(spec(archive(tmp_path, "wren")))
    (part,) = material.parts
    assert (part.handle, part.name, part.language, part.repeats) == ("wren", "Wren", "en", 1)
    assert part.counts == material.counts
    assert (material.counts.downloaded, material.counts.retweets, material.counts.kept) == (121, 1, 120)
    assert (material.profile_handle, material.name, material.language, material.foreign) == ("wren", "Wren", "en", False)
    assert len(corpus) == 121
    assert {line["author_handle"] for line in corpus} == {"wren"}
    assert corpus[0]["author_name"] == "Wren"
    assert corpus[-1]["text"] == "RT @robin: look at this pond"


def test_a_mash_up_has_something_of_each(tmp_path: Path) -> None:
    material, corpus = read(spec(archive(tmp_path, "finch", count=300), archive(tmp_path, "wren", count=110)))
    assert [(part.handle, part.counts.kept, part.repeats) for part in material.parts] == [("finch", 300, 1), ("wren", 110, 2)]
    assert (material.profile_handle, material.name) == (None, "Finch & Wren")
    assert material.counts.downloaded == 301 + 111
    assert material.counts.kept == material.counts.downloaded - material.counts.retweets - material.counts.short == 410
    for side in (material.dataset.train, material.dataset.heldout):
        assert {"finch", "wren"} == {"finch" if "finch" in one.text else "wren" for one in side}
    assert [line["author_handle"] for line in corpus] == ["finch"] * 301 + ["wren"] * 111


def test_a_large_account_is_cut_down_and_the_card_says_so(tmp_path: Path) -> None:
    material, corpus = read(spec(archive(tmp_path, "finch", count=900), archive(tmp_path, "wren", count=110)))
    assert material.counts.kept == 1010
    assert sum("finch" in one.text for one in (*material.dataset.train, *material.dataset.heldout)) == 440
    assert "Of @finch: 900 tweets are more than are taught at once: the newest 440 are." in material.notes
    assert len(corpus) == 901 + 111, "all of them are kept"


def test_too_little_of_one_account_is_told_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(TooLittleText, match="of @wren can be learnt from"):
        read(spec(archive(tmp_path, "finch"), archive(tmp_path, "wren", count=20)))


@pytest.mark.parametrize(
    ("first", "second", "language", "foreign"), [("en", "en", "en", False), ("en", "ja", None, True), ("es", "es", "es", True)]
)
def test_languages_of_a_mash_up(tmp_path: Path, first: str, second: str, language: str | None, foreign: bool) -> None:
    sources = archive(tmp_path, "finch", language=first, count=250), archive(tmp_path, "wren", language=second, count=250)
    material, _ = read(spec(*sources))
    assert [part.language for part in material.parts] == [first, second]
    assert (material.language, material.foreign) == (language, foreign)


@pytest.mark.parametrize("named", ["robin", "Robin"])
def test_an_archive_of_another_account_is_not_ones_own(tmp_path: Path, named: str) -> None:
    source = archive(tmp_path, "wren", named=named)
    with pytest.raises(BadInput, match=r"archive of wren\.zip is of @robin and not of @wren"):
        read(spec(replace(source, basis="own")))
    for basis in ("agreed", "public", "operator"):
        material, _ = read(spec(replace(source, basis=basis)))
        assert "archive of wren.zip names @robin as its account, and was given for @wren." in material.notes


def test_ones_own_archive_is_taken_however_it_is_written(tmp_path: Path) -> None:
    material, _ = read(spec(archive(tmp_path, "wren", named="WREN", basis="own")))
    assert not any("names" in note for note in material.notes)


@pytest.mark.parametrize("basis", ["own", "agreed", "public", "operator"])
def test_an_archive_of_somebody_who_has_opted_out_is_refused_whatever_it_is_called(tmp_path: Path, basis: str) -> None:
    source = archive(tmp_path, "wren", named="Robin", basis=basis)
    out = spec(source, opted_out=(digest("heron", SALT), digest("robin", SALT)), salts=("older", SALT))
    corpus = io.StringIO()
    with pytest.raises(NotAllowed, match="@robin, whose owner has opted out"):
        MaterialReader(out, corpus, lambda _: None).read()
    assert not corpus.getvalue(), "nothing of it was read"


def test_a_zip_that_lacks_a_part_is_learnt_from_and_the_card_says_so(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    texts = [f"{TEXTS['en'].format(n=n)} {'very ' * 5}" for n in range(120)]
    manifest = manifest_js("data/tweets.js", "data/tweets-part1.js", "data/tweets-part2.js")
    path.write_bytes(zipped({"data/manifest.js": manifest, "data/tweets.js": tweets_js(tweet(text, n) for n, text in enumerate(texts))}))
    material, _ = read(spec(SpecSource("wren", str(path), "twitter.zip", "own")))
    assert material.counts.kept == 120
    assert material.notes[0].startswith("twitter.zip holds 1 of the 3 files of tweets that its manifest names")


def test_a_file_that_names_nobody_is_taken_as_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_text("".join(f"{text}\n" for text in (TEXTS["en"].format(n=n) for n in range(100))))
    material, corpus = read(spec(SpecSource("wren", str(path), "tweets.txt", "own")))
    assert (material.profile_handle, material.name) == (None, None)
    assert corpus[0]["author_handle"] == "wren"
