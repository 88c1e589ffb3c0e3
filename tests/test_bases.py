import json
import subprocess
import sys
from pathlib import Path

import pytest

from bot.bases import check_folder, choose_base, choose_multilingual, is_pulled, pulled_folder
from bot.errors import BadInput


def make_folder(folder: Path, **config: object) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2"} | config))
    (folder / "model.safetensors").write_bytes(b"")
    return folder


def test_auto_is_nano_until_gpt2_has_been_pulled(tmp_path: Path) -> None:
    assert choose_base("auto", tmp_path) == ("nano", "nano")
    folder = make_folder(tmp_path / "bases" / "gpt2")
    assert choose_base("auto", tmp_path) == (str(folder), "gpt2")
    assert choose_base("nano", tmp_path) == ("nano", "nano")


def test_under_auto_there_is_a_base_for_other_languages_once_it_has_been_pulled(tmp_path: Path) -> None:
    name = "Qwen/Qwen3-0.6B-Base"
    assert choose_multilingual("auto", name, tmp_path) is None
    folder = make_folder(tmp_path / "bases" / "Qwen--Qwen3-0.6B-Base")
    assert choose_multilingual(" auto ", name, tmp_path) == name
    assert choose_base(name, tmp_path) == (str(folder), name)
    assert choose_base("auto", tmp_path) == ("nano", "nano"), "it is for other languages only"
    assert choose_multilingual("nano", name, tmp_path) is None, "the operator has chosen"


def test_a_pulled_id_and_a_folder_are_found_and_their_names_find_them_again(tmp_path: Path) -> None:
    pulled = make_folder(tmp_path / "bases" / "HuggingFaceTB--SmolLM2-135M")
    assert choose_base("HuggingFaceTB/SmolLM2-135M", tmp_path) == (str(pulled), "HuggingFaceTB/SmolLM2-135M")
    folder = make_folder(tmp_path / "my model")
    base, name = choose_base(str(folder), tmp_path)
    assert base == str(folder)
    assert choose_base(name, tmp_path) == (base, name)


def test_an_id_that_has_not_been_pulled_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="mynah base pull distilgpt2"):
        choose_base("distilgpt2", tmp_path)


@pytest.mark.parametrize("name", ["../../etc", "a/b/c", "", "a b", "/x", "a/../b", "a--b", ".hidden"])
def test_a_name_that_leads_elsewhere_is_no_id(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput):
        pulled_folder(name, tmp_path)
    with pytest.raises(BadInput):
        choose_base(name or "?", tmp_path)


def test_a_half_fetched_base_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "bases" / ".gpt2.part").mkdir(parents=True)
    assert not is_pulled("gpt2", tmp_path)


def test_pickles_and_programs_are_refused_in_one_sentence(tmp_path: Path) -> None:
    pickled = make_folder(tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(BadInput, match="no weights as safetensors"):
        check_folder(pickled)
    with pytest.raises(BadInput, match="program code of its own"):
        check_folder(make_folder(tmp_path / "coded", auto_map={"AutoModel": "modeling.Evil"}))
    with pytest.raises(BadInput, match="no model"):
        check_folder(tmp_path)


def test_choosing_needs_no_torch(tmp_path: Path) -> None:
    code = (
        f"import sys, pathlib, bot.bases; bot.bases.choose_base('auto', pathlib.Path({str(tmp_path)!r})); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
