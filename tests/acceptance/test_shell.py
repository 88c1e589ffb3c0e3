"""The same job at the shell."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import mynah
from tests.acceptance.house import some_tweets


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
    (tmp_path / "tweets.jsonl").write_bytes(some_tweets())
    arguments = ("--preset", "huggingtweets", "--out", str(tmp_path / "out"), "--base", "nano", "--json")
    done = mynah("train", "@ferry", "--from", str(tmp_path / "tweets.jsonl"), *arguments, home=tmp_path / "data", OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed["counts"] == {"downloaded": 110, "retweets": 0, "short": 0, "kept": 110}
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
