"""The same job at the shell."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bot.backups import DATABASE
from storage.database import Database
from tests.acceptance.conftest import mynah
from tests.acceptance.house import some_tweets

TERMS = "use the X API or X Content to fine-tune or train a foundation or frontier model"
"""As X's agreement has it."""


def rows(home: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        return connection.execute(sql).fetchall()


def test_train_prints_what_it_made(trained_once: tuple[Path, dict[str, Any]]) -> None:
    home, printed = trained_once
    assert printed["character"] == "ferry"
    assert printed["model_version"] == 1
    assert printed["base"] == "nano"
    assert printed["counts"] == {"downloaded": 110, "retweets": 0, "short": 0, "kept": 110}
    assert printed["heldout_loss"]["model"] < printed["heldout_loss"]["base"]
    assert printed["seconds"] > 0
    assert Path(printed["path"]).is_dir()
    assert Path(printed["path"]).is_relative_to(home)
    assert rows(home, "SELECT handle, basis, user_id, guild_id FROM consents") == [("ferry", "operator", 0, 0)]
    assert {"adapter_config.json", "adapter_model.safetensors", "README.md"} <= {f.name for f in Path(printed["path"]).iterdir()}


def test_say_gives_five_texts_and_the_same_again(trained: Path) -> None:
    arguments = ("say", "ferry", "--prompt", "My dream is", "-n", "5", "--seed", "1", "--json")
    first, second = (mynah(*arguments, home=trained) for _ in range(2))
    assert first.returncode == 0, first.stderr
    said = json.loads(first.stdout)
    assert said == json.loads(second.stdout)
    assert said["character"] == "ferry"
    assert said["model_version"] == 1
    assert len({post["text"] for post in said["posts"]}) == 5
    assert all(post["text"].startswith("My dream is") and isinstance(post["seed"], int) for post in said["posts"])
    alone = json.loads(
        mynah("say", "ferry", "--prompt", "My dream is", "--seed", str(said["posts"][3]["seed"]), "--json", home=trained).stdout
    )
    assert alone["posts"][0]["text"] == said["posts"][3]["text"]


def test_characters_lists_the_registry(trained: Path) -> None:
    listed = json.loads(mynah("characters", "--json", home=trained).stdout)
    assert [row["character"] for row in listed["characters"]] == ["ferry"]
    assert "@ferry" in mynah("characters", home=trained).stdout


def test_an_exported_character_is_a_model_of_transformers(trained: Path, tmp_path: Path) -> None:
    done = mynah("export", "ferry", str(tmp_path / "out"), "--json", home=trained)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"character": "ferry", "model_version": 1, "path": str(tmp_path / "out")}
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= {f.name for f in (tmp_path / "out").iterdir()}
    again = mynah("export", "ferry", str(tmp_path / "out"), home=trained)
    assert again.returncode == 1
    assert "not an empty folder" in again.stderr


def test_the_recipe_to_compare_with_makes_a_folder_and_no_character(tmp_path: Path) -> None:
    (tmp_path / "tweets.jsonl").write_bytes(some_tweets(70))
    arguments = ("--preset", "huggingtweets", "--out", str(tmp_path / "out"), "--base", "nano", "--json")
    done = mynah("train", "@ferry", "--from", str(tmp_path / "tweets.jsonl"), *arguments, home=tmp_path / "data", OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed["counts"] == {"downloaded": 70, "retweets": 0, "short": 0, "kept": 70}
    assert printed["heldout_loss"]["model"] < printed["heldout_loss"]["base"]
    assert printed["model_version"] is None
    assert printed["path"] == str(tmp_path / "out")
    assert (tmp_path / "out" / "model.safetensors").is_file()
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("run",), "mynah demo"),
        (("say", "ferry"), "mynah train"),
        (("characters",), "mynah train"),
        (("export", "ferry", "."), "mynah train"),
        (("train", "@x", "--from", __file__, "--preset", "huggingtweets"), "--out FOLDER"),
        (("train", "@x", "--from", __file__, "--preset", "fast", "--out", "new"), "--out FOLDER"),
        (("train", "@x", "--from", __file__, "--preset", "huggingtweets", "--out", "."), "not an empty folder"),
        (("train", "@x", "--from", "nothing.zip"), "nothing.zip"),
        (("train", "@x"), "--source x, bluesky or mastodon"),
        (("train", "@x", "@y", "--from", __file__), "no tweets of @y"),
        (("train", "@x", "--from", __file__, "--from", __file__), "2 files for 1 accounts"),
        (("train", "@x", "--from", __file__, "--source", "bluesky"), "nothing is left to read from Bluesky"),
        (("train", "@x+y", "--from", __file__), "mynah train x y"),
        (("train", "@a", "@b", "@c", "@d", "--source", "bluesky"), "3 at most"),
        (("train", "@a", "@A", "--source", "bluesky"), "name each once"),
        (("train", "@x", "--source", "x"), "X_ENABLED"),
        (("train", "@x", "--source", "mastodon"), "MASTODON_INSTANCES"),
        (("train", "@x", "@y", "--from", __file__, "--from", __file__, "--preset", "huggingtweets", "--out", "new"), "one account"),
        (("privacy", "opt-in", "@x"), "has not opted out"),
        (("privacy", "opt-out", "no handle"), "is no handle"),
        (("privacy", "forget", "@x+y", "--yes"), "mash-up"),
        (("privacy", "forget", "@x"), "--yes"),
        (("train", "no handle", "--from", __file__), "is no handle"),
        (("train", "@x", "--from", __file__, "--base", "gpt2"), "mynah base pull gpt2"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(arguments: tuple[str, ...], part: str, tmp_path: Path) -> None:
    done = mynah(*arguments, home=tmp_path / "data")
    assert done.returncode == 1
    assert part in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("budget", "parts"),
    [
        ("20", ["up to $16.01", "$20.00 of this month's $20.00 are left", "--yes"]),
        ("10", ["up to $16.01", "refused when there are more posts than that pays for", "--yes"]),
        ("0.001", ["$0.00 of this month's $0.00 are left", "upload an X archive"]),
    ],
)
def test_what_x_charges_is_said_before_it_is_spent(budget: str, parts: list[str], tmp_path: Path) -> None:
    home, terms = tmp_path / "data", "i-have-read-the-terms"
    done = mynah("train", "@x", "--source", "x", home=home, X_ENABLED=terms, X_BEARER_TOKEN="made-up", X_MONTHLY_BUDGET=budget)
    assert done.returncode == 1
    assert [part for part in parts if part not in done.stderr] == []
    assert ("--yes" in done.stderr) == ("--yes" in parts)
    assert rows(tmp_path / "data", "SELECT count(*) FROM jobs") == [(0,)]


def test_a_mash_up_learns_from_two_files_and_what_entitles_to_it_is_recorded(tmp_path: Path) -> None:
    lines = some_tweets(160).splitlines(keepends=True)
    (tmp_path / "wren.jsonl").write_bytes(b"".join(lines[:100]))
    (tmp_path / "heron.jsonl").write_bytes(b"".join(lines[100:]))
    arguments = ("--from", str(tmp_path / "wren.jsonl"), "--from", str(tmp_path / "heron.jsonl"), "--consent", "public", "--preset", "fast")
    done = mynah("train", "@wren", "@heron", *arguments, "--json", home=tmp_path / "data", OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert (printed["character"], printed["handles"]) == ("heron+wren", ["heron", "wren"])
    assert printed["counts"]["downloaded"] == 160
    accounts = [(account["handle"], account["downloaded"], account["repeats"]) for account in printed["accounts"]]
    assert sorted(accounts) == [("heron", 60, 2), ("wren", 100, 1)]
    assert "answer for it" not in done.stderr
    given = rows(tmp_path / "data", "SELECT handle, basis FROM consents ORDER BY handle")
    assert given == [("heron", "public"), ("wren", "public")]
    said = mynah("say", "heron+wren", "--seed", "1", "--json", home=tmp_path / "data")
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout)["posts"][0]["text"]


def test_an_account_that_has_opted_out_is_refused_and_silent_until_that_is_taken_back(trained: Path, tmp_path: Path) -> None:
    source = tmp_path / "ferry.jsonl"
    source.write_bytes(some_tweets())
    done = mynah("privacy", "opt-out", "@Ferry", "--json", home=trained)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["handle"], told["characters"], told["already"]) == ("ferry", 1, False)
    for arguments in (("train", "@ferry", "--from", str(source)), ("say", "ferry"), comparing(source, tmp_path / "out")):
        refused = mynah(*arguments, home=trained)
        assert refused.returncode == 1, refused.stdout
        assert "opted out" in refused.stderr
    assert not (tmp_path / "out").exists()
    assert rows(trained, "SELECT count(*) FROM jobs") == [(1,)]
    assert "may learn from it again" in mynah("privacy", "opt-in", "ferry", home=trained).stdout
    assert mynah("say", "ferry", home=trained).returncode == 0


def comparing(source: Path, folder: Path) -> tuple[str, ...]:
    return "train", "@ferry", "--from", str(source), "--preset", "huggingtweets", "--out", str(folder)


def test_what_is_forgotten_is_gone_with_its_exports(trained: Path, tmp_path: Path) -> None:
    assert mynah("export", "ferry", str(tmp_path / "out"), home=trained).returncode == 0
    assert mynah("privacy", "forget", "ferry", home=trained).returncode == 1  # nobody is there to confirm it
    assert mynah("say", "ferry", home=trained).returncode == 0
    done = mynah("privacy", "forget", "ferry", "--yes", "--json", home=trained)
    assert done.returncode == 0, done.stderr
    receipt = json.loads(done.stdout)
    assert (receipt["handle"], receipt["numbers"]["characters"], receipt["numbers"]["exports"]) == ("ferry", 1, 1)
    assert json.loads(mynah("characters", "--json", home=trained).stdout) == {"characters": []}
    sentence = json.loads(some_tweets(1))["text"].encode()[:40]
    holding = [
        path for folder in (trained, tmp_path / "out") for path in folder.rglob("*") if path.is_file() and sentence in path.read_bytes()
    ]
    assert holding == []
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments", [("privacy", "opt-out", "ferry"), ("privacy", "forget", "ferry", "--yes"), ("train", "ferry", "--from", __file__)]
)
def test_while_the_bot_runs_what_writes_names_the_command_on_discord(arguments: tuple[str, ...], trained: Path) -> None:
    async def beside_a_writer() -> str:
        database = await Database.open(trained / DATABASE)
        try:
            done = await asyncio.to_thread(mynah, *arguments, home=trained)
        finally:
            await database.close()
        assert done.returncode == 1
        return done.stderr

    told = asyncio.run(beside_a_writer())
    assert "in use by process" in told
    assert f"use /{' '.join(arguments[:2]) if arguments[0] == 'privacy' else 'train'} on Discord" in told
    assert len(told.strip().splitlines()) == 1


def test_doctor_says_what_x_forbids_word_for_word_and_makes_nothing(tmp_path: Path) -> None:
    done = mynah("doctor", home=tmp_path / "data", DISCORD_TOKEN="MTEw.canary.x", X_BEARER_TOKEN="canary", COLUMNS="60")
    assert done.returncode == 0, done.stdout + done.stderr
    assert TERMS in done.stdout
    assert "III.A" in done.stdout
    assert "DISCORD_TOKEN is set" in done.stdout
    assert "canary" not in done.stdout + done.stderr
    assert not (tmp_path / "data").exists()


def test_doctor_finds_what_is_missing_and_ends_with_1(trained: Path) -> None:
    well = mynah("doctor", "--json", home=trained)
    assert well.returncode == 0, well.stdout
    told = json.loads(well.stdout)
    assert told["ok"] is True
    assert "1, each with" in next(check["found"] for check in told["checks"] if check["name"] == "characters")
    assert any(TERMS in quote["sentence"] for quote in told["x_terms"])
    (trained / "models").rename(trained / "elsewhere")
    ill = mynah("doctor", "--json", home=trained)
    assert ill.returncode == 1
    broken = [check for check in json.loads(ill.stdout)["checks"] if check["state"] == "broken"]
    assert [check["name"] for check in broken] == ["characters"]
    assert "@ferry" in broken[0]["found"]
    assert "mynah backup" in broken[0]["advice"]


def test_a_refused_file_leaves_nothing_behind(tmp_path: Path) -> None:
    source = tmp_path / "one.jsonl"
    source.write_text('{"text": "Only this one tweet is here."}\n', encoding="utf-8")
    done = mynah("train", "@x", "--from", str(source), "--json", home=tmp_path / "data")
    assert done.returncode == 1
    error = json.loads(done.stdout)["error"]
    assert "6,000" in error
    assert error in done.stderr
    assert source.exists()
    left = {path.name for path in (tmp_path / "data").rglob("*") if path.is_file()}
    assert {name for name in left if not name.startswith("mynah.sqlite3")} == set()


def test_the_demo_plays_to_its_end(tmp_path: Path) -> None:
    done = mynah("demo", "--once", home=tmp_path / "data", DISCORD_TOKEN="")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("-# AI") >= 5
    assert not (tmp_path / "data").exists()
