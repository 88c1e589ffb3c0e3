import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from bot.bases import NANO_FOLDER
from bot.errors import BadInput
from bot.lm.adapter import Adapter
from bot.lm.base import Base, load_base
from bot.lm.generation import LONGEST_PROMPT, Speaker
from bot.lm.kernels import are_usable, levels
from bot.lm.quantised import can_quantise, resident
from bot.lm.recipe import SMALL_BASE, Recipe
from bot.lm.sampling import LEAST_SHARE, Manner
from bot.lm.spelling import Pieces, Spelling, read_alphabet, write_alphabet
from bot.lm.training import train
from bot.lm.voices import Voice, Voices
from bot.tweets.dataset import Dataset
from tests.lm.conftest import ARCHITECTURES, WHO, use_level

Tiny = Callable[[str], Path]


def teach(base: Base, dataset: Dataset, folder: Path, seed: int = 1) -> Path:
    recipe = Recipe(rank=32, embedding_rank=32, learning_rate=1e-2, bias_rate=3e-2, epochs=12)
    train(
        base,
        dataset,
        recipe,
        out=folder / "model",
        checkpoints=folder / "checkpoints",
        seed=seed,
        report=lambda _step: None,
        should_stop=lambda: False,
    )
    return folder / "model"


@pytest.fixture(scope="module")
def base(tiny: Tiny) -> Base:
    return load_base(str(tiny("gpt2")))


@pytest.fixture(scope="module")
def model(base: Base, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return teach(base, dataset, tmp_path_factory.mktemp("taught"))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_each_architecture_speaks_as_it_was_taught(tiny: Tiny, dataset: Dataset, tmp_path: Path, architecture: str) -> None:
    base = load_base(str(tiny(architecture)))
    texts = Speaker(resident(base)).say(teach(base, dataset, tmp_path), "", range(20))
    starts = tuple(who.split()[0] for who in WHO)
    assert sum(text.startswith(starts) for text in texts) >= 10
    assert len(set(texts)) > 10


@pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to True:UserWarning")
@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`:UserWarning")
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
@pytest.mark.parametrize("architecture", [*ARCHITECTURES, "nano"])
def test_greedy_text_is_that_of_transformers_and_peft(tiny: Tiny, tmp_path: Path, architecture: str) -> None:
    """`top_k` of 1 leaves no chance. PEFT reads the files that were saved; the bias is added by transformers' own means."""
    base = load_base("nano" if architecture == "nano" else str(tiny(architecture)), dtype=torch.float32)
    keep(stirred(base, 5), base, tmp_path, "".join(map(chr, range(0x80, 0x2000))))
    loaded = AutoModelForCausalLM.from_pretrained(NANO_FOLDER if architecture == "nano" else tiny(architecture), dtype=torch.float32)
    model: Any = PeftModel.from_pretrained(loaded, tmp_path).eval()
    bias = load_file(tmp_path / "output_bias.safetensors")["bias"].float()
    pieces = Pieces(base.tokenizer.pieces(), base.network.shape.vocabulary)
    endings = [base.tokenizer.end, *(i for i, piece in enumerate(pieces.spelt) if piece and b"\n" in piece)]
    for prompt in ("My kettle", ""):
        speaker = Speaker(resident(base, quantised=False))
        ours = speaker.begin(tmp_path, prompt, [1], Manner(top_k=1))
        while not ours.done:
            speaker.step()
        ids = list(ours.told[0].ids)
        assert len(ids) - ours.told[0].prompted >= 3
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids])).logits[0] + bias
        spelling, part = Spelling(pieces, read_alphabet(tmp_path)), b""
        for at in range(ours.told[0].prompted, len(ids)):
            allowed = torch.from_numpy(spelling.allowed(part).copy())
            if not part:
                allowed[endings] = at >= ours.told[0].prompted + 3
            assert int(logits[at - 1].masked_fill(~allowed, -torch.inf).argmax()) == ids[at]
            part = spelling.after(part, ids[at]) or b""


@pytest.mark.usefixtures("level")
def test_a_seed_gives_its_text_whatever_else_is_asked_for(base: Base, model: Path) -> None:
    speaker = Speaker(resident(base))
    alone = [speaker.say(model, "The heron", [seed])[0] for seed in range(19)]
    assert speaker.say(model, "The heron", range(19)) == alone
    assert speaker.say(model, "The heron", [7, 3, 7, 18, 2, 2, 1, 0, 5, 6]) == [alone[i] for i in (7, 3, 7, 18, 2, 2, 1, 0, 5, 6)]
    assert Speaker(resident(base)).say(model, "The heron", [2**32 - 1, 4])[1] == alone[4]


@pytest.mark.skipif(len(levels()) < 2, reason="this processor has not two levels of kernels")
def test_a_seed_gives_its_text_on_every_level(base: Base, model: Path) -> None:
    told = []
    for level in levels():
        use_level(level)
        told.append(Speaker(resident(base)).say(model, "The heron", range(10)))
    assert told.count(told[0]) == len(told)


def test_the_text_begins_with_the_prompt_and_trailing_space_does_not_matter(base: Base, model: Path) -> None:
    speaker = Speaker(resident(base))
    plain = speaker.say(model, "An old tram", range(4))
    assert all(text.startswith("An old tram") for text in plain)
    assert speaker.say(model, "  An  old\ntram \n", range(4)) == plain
    for prompt in ("<|endoftext|>", "東京の朝は🦉", "a  <|spare|>", "#1"):
        assert all(text.startswith(" ".join(prompt.split())) for text in speaker.say(model, prompt, range(3)))


def test_prompts_that_cannot_be_used(base: Base, model: Path) -> None:
    speaker = Speaker(resident(base))
    with pytest.raises(BadInput, match="201 characters"):
        speaker.say(model, "x" * (LONGEST_PROMPT + 1), [1])
    with pytest.raises(BadInput, match=r"tokens long .* at most 64"):
        speaker.say(model, "東" * 100, [1])
    with pytest.raises(BadInput, match="unprintable"):
        speaker.say(model, "a\x00b", [1])
    assert speaker.say(model, "fine", []) == []


def keep(adapter: Adapter, base: Base, folder: Path, alphabet: str = "é") -> Path:
    adapter.save(folder, base.network, base_name="tiny")
    write_alphabet(folder, [alphabet])
    return folder


def stirred(base: Base, seed: int, *, embedding_rank: int = 4) -> Adapter:
    """An adapter that changes everything a little."""
    generator = torch.Generator().manual_seed(seed)
    adapter = Adapter.fresh(base.network, rank=4, embedding_rank=embedding_rank, generator=generator)
    for tensor in adapter.state().values():
        tensor.add_(torch.randn(tensor.shape, generator=generator), alpha=0.05)
    return adapter


def biased(base: Base, folder: Path, **likely: float) -> Path:
    """A model that all but always says what the bias tells it to."""
    adapter = Adapter.fresh(base.network, rank=1, embedding_rank=0, generator=torch.Generator().manual_seed(0))
    for text, weight in likely.items():
        token = base.tokenizer.end if text == "END" else base.tokenizer.encode(text)[0]
        adapter.bias[token] = weight
    return keep(adapter, base, folder)


def test_a_tweet_does_not_end_before_it_has_begun(base: Base, tmp_path: Path) -> None:
    text = Speaker(resident(base)).say(biased(base, tmp_path, END=1000.0, z=500.0), "so", [1])[0]
    assert text == "sozzz"


def test_a_line_break_ends_the_tweet(base: Base, tmp_path: Path) -> None:
    folder = biased(base, tmp_path, **{"\n": 1000.0, "z": 500.0})
    assert Speaker(resident(base)).say(folder, "so", [1]) == ["sozzz"]


def test_a_text_is_left_when_it_is_too_long(tmp_path: Path) -> None:
    base = load_base("nano")
    text = Speaker(resident(base)).say(biased(base, tmp_path, **{" the": 1000.0}), "so", [1])[0]
    assert 280 < len(text) <= 284


def test_the_context_is_never_left(base: Base, tmp_path: Path) -> None:
    text = Speaker(resident(base)).say(biased(base, tmp_path, z=1000.0), "so", [1])[0]
    assert text == "so" + "z" * (len(text) - 2)
    assert 100 < len(text) < 128


def test_a_character_that_was_begun_is_finished_and_is_one_that_was_taught(base: Base, tmp_path: Path) -> None:
    """Every byte of the upper half is likely and nothing else is: only the characters of the alphabet come out."""
    adapter = Adapter.fresh(base.network, rank=1, embedding_rank=0, generator=torch.Generator().manual_seed(0))
    halves = [i for i in range(base.tokenizer.size) if "\ufffd" in base.tokenizer.decode([i])]
    adapter.bias[halves] = 1000.0
    texts = Speaker(resident(base)).say(keep(adapter, base, tmp_path, "東京é🦉"), "so", range(8), top_k=200)
    assert set("".join(texts)) == set("so東京é🦉")


def test_what_ends_for_want_of_room_ends_with_a_whole_character(base: Base, tmp_path: Path) -> None:
    adapter = Adapter.fresh(base.network, rank=1, embedding_rank=0, generator=torch.Generator().manual_seed(0))
    adapter.bias[next(i for i in range(base.tokenizer.size) if base.tokenizer.pieces()[i] == "語".encode()[:1])] = 1000.0
    for prompt in ("so", "soo", "sooo"):
        text = Speaker(resident(base)).say(keep(adapter, base, tmp_path, "語"), prompt, [1])[0]
        assert text == prompt + "語" * (len(text) - len(prompt))
        assert len(text) > len(prompt) + 30


def test_special_tokens_and_filling_are_never_spoken(base: Base, tmp_path: Path) -> None:
    adapter = Adapter.fresh(base.network, rank=1, embedding_rank=0, generator=torch.Generator().manual_seed(0))
    adapter.bias[base.tokenizer.size :] = 1000.0
    for special in base.tokenizer.special - {base.tokenizer.end}:
        adapter.bias[special] = 1000.0
    adapter.bias[base.tokenizer.encode("z")[0]] = 500.0
    adapter.bias[base.tokenizer.end] = 499.0
    keep(adapter, base, tmp_path)
    assert set(Speaker(resident(base)).say(tmp_path, "", [1])[0]) == {"z"}


def test_adapters_are_kept_and_the_oldest_is_let_go(base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [biased(base, tmp_path / letter, **{letter: 1000.0, "END": 999.0}) for letter in "xyz"]
    speaker = Speaker(resident(base), cached=2)
    loaded: list[Path] = []
    load = Voices._load

    def counted(voices: Voices, folder: Path) -> Voice:
        loaded.append(folder)
        return load(voices, folder)

    monkeypatch.setattr(Voices, "_load", counted)
    for folder in [*folders, *folders[1:], folders[0]]:
        assert folder.name in speaker.say(folder, "", [1])[0]
    assert loaded == [*folders, folders[0]]


def test_another_model_in_the_same_folder_is_seen(base: Base, tmp_path: Path) -> None:
    speaker = Speaker(resident(base))
    assert "x" in speaker.say(biased(base, tmp_path, x=1000.0, END=999.0), "", [1])[0]
    assert "y" in speaker.say(biased(base, tmp_path, y=1000.0, END=999.0), "", [1])[0]


@pytest.mark.parametrize(("parameters", "least", "other"), [(SMALL_BASE - 1, LEAST_SHARE, 0.0), (SMALL_BASE, 0.0, LEAST_SHARE)])
def test_the_least_share_suits_the_base_unless_one_is_given(
    base: Base, tmp_path: Path, parameters: int, least: float, other: float
) -> None:
    folder = biased(base, tmp_path, x=40.0, END=37.5, **dict.fromkeys("abcde", 36.9))
    speaker = Speaker(resident(replace(base, parameters=parameters)))
    texts = speaker.say(folder, "", range(8))
    assert texts == speaker.say(folder, "", range(8), min_p=least)
    assert texts != speaker.say(folder, "", range(8), min_p=other)
    telling = speaker.begin(folder, "", range(8))
    while not telling.done:
        speaker.step()
    assert [draft.text for draft in telling.told] == texts


@pytest.mark.parametrize("quantised", [False, True])
def test_a_text_does_not_depend_on_its_neighbours(tmp_path: Path, quantised: bool) -> None:
    """Alone, among five of the same character, and among sixteen characters of two kinds, three prompts, some late."""
    if quantised and not can_quantise() and not are_usable():
        pytest.skip("this processor has no product of bytes")
    base = load_base("nano", dtype=torch.float32)
    folders = [keep(stirred(base, n, embedding_rank=4 * (n % 2)), base, tmp_path / str(n)) for n in range(16)]
    speaker = Speaker(resident(base, quantised=quantised))
    prompts = [("The rain", "", "Whoever came home late")[n % 3] for n in range(16)]
    wanted = list(zip(folders, prompts, strict=True))
    alone = [speaker.say(folder, prompt, [7])[0] for folder, prompt in wanted]
    assert speaker.say(folders[3], prompts[3], range(5, 10))[2] == alone[3]
    tellings = [speaker.begin(folder, prompt, [7], judged=True) for folder, prompt in wanted[:10]]
    for _ in range(5):
        speaker.step()
    tellings += [speaker.begin(folder, prompt, [7]) for folder, prompt in wanted[10:]]
    while speaker.busy:
        speaker.step()
    assert [telling.told[0].text for telling in tellings] == alone


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_transformers_computes_speaks_the_same_alone_and_beside_others(tiny: Tiny, tmp_path: Path, dtype: torch.dtype) -> None:
    """On 32 bits over the kernels, where there are any; on 16 bits, as on a GPU, on torch."""
    base = load_base(str(tiny("gpt_neox")), dtype=dtype)
    folders = [keep(stirred(base, n), base, tmp_path / str(n)) for n in range(3)]
    speaker = Speaker(resident(base))
    alone = [speaker.say(folder, "The rain", [7])[0] for folder in folders]
    tellings = [speaker.begin(folder, "The rain", [7], judged=True) for folder in folders]
    while speaker.busy:
        speaker.step()
    assert [telling.told[0].text for telling in tellings] == alone
    assert len(set(alone)) == 3
    assert all(text.startswith("The rain") for text in alone)


def test_a_short_request_is_served_while_a_long_one_runs(base: Base, model: Path) -> None:
    speaker = Speaker(resident(base))
    long = speaker.begin(model, "", range(200))
    speaker.step()
    short = speaker.begin(model, "", [1])
    steps = 0
    while not short.done:
        speaker.step()
        steps += 1
    assert not long.done
    assert steps <= base.context


def test_what_nobody_wants_any_more_is_dropped(base: Base, model: Path) -> None:
    speaker = Speaker(resident(base))
    telling = speaker.begin(model, "", range(40))
    speaker.step()
    speaker.drop(telling)
    assert not speaker.busy
    assert speaker.say(model, "", [3]) == Speaker(resident(base)).say(model, "", [3])


@pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to True:UserWarning")
@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`:UserWarning")
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_the_score_is_the_ratio_of_likelihoods(base: Base, tmp_path: Path) -> None:
    adapter = stirred(base, 3)
    folder = keep(adapter, base, tmp_path)
    speaker = Speaker(resident(base))
    telling = speaker.begin(folder, "My kettle", [1, 2], judged=True)
    while not telling.done:
        speaker.step()
    model: Any = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base.name), folder).eval()
    bias = load_file(folder / "output_bias.safetensors")["bias"].float()
    for draft, score in zip(telling.told, speaker.scores(telling.told), strict=True):
        ids = torch.tensor(draft.ids)
        with torch.no_grad():
            character = (model(input_ids=ids[None]).logits[0] + bias).log_softmax(-1)
            with model.disable_adapter():
                plain = model(input_ids=ids[None]).logits[0].log_softmax(-1)
        ratio = (character - plain)[:-1].gather(-1, ids[1:, None])[draft.prompted - 1 :, 0]
        assert score == pytest.approx(float(ratio.sum()) / (len(ratio) + 10), abs=1e-3)


def test_whoever_speaks_imports_neither_torch_nor_transformers(tmp_path: Path) -> None:
    """Importing them takes longer than all else, and most of the memory."""
    if not are_usable():
        pytest.skip("the kernels were not built, or this processor has no AVX2")
    base = load_base("nano", dtype=torch.float32)
    keep(stirred(base, 1), base, tmp_path)
    code = (
        "import sys; from pathlib import Path; from bot.lm.loading import load_speaker; import bot.executor.generation_worker;"
        f"texts = load_speaker('nano', Path({str(tmp_path / 'packed')!r})).say({str(tmp_path)!r}, 'My kettle', [1, 2]);"
        "print(*texts, sep='\\n'); sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == Speaker(resident(base)).say(tmp_path, "My kettle", [1, 2])
