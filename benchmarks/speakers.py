"""The contestants of `benchmarks.generation`: each loads a base with its characters and answers requests to speak.

A request has `rows` (texts wanted), `characters` (how many different ones speak, row by row), `tokens` (of each text: exactly so many
when `forced`, else at most) and `calls` (how often that is timed). Everybody samples from the 50 likeliest tokens that make up 0.95, after
the same prompt.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.child import Job, Turn, paced
from bot.executor.process import SPEAKING

PROMPT = "My dream is"
TOP_K, TOP_P = 50, 0.95


def pipeline(turn: Turn, job: Job) -> None:
    """`pipeline("text-generation")`, as a model card shows it, on the character's whole model in 32 bits."""
    first = turn.begin()
    import torch
    from transformers import pipeline as make

    torch.manual_seed(1)
    speak: Any = make("text-generation", model=job["merged"], dtype=torch.float32)
    encode = speak.tokenizer

    def say(request: Job) -> int:
        found = speak(PROMPT, num_return_sequences=request["rows"], return_full_text=False, **_sampling(request))
        if request["forced"]:
            return int(request["rows"] * request["tokens"])
        said = (encode(one["generated_text"], add_special_tokens=False).input_ids for one in found)
        return sum(min(len(ids) + 1, request["tokens"]) for ids in said)

    _answer(turn, first, say)


def generate(turn: Turn, job: Job) -> None:
    """`model.generate` with its cache, on the character's whole model in 32 bits."""
    first = turn.begin()
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(1)
    model: Any = AutoModelForCausalLM.from_pretrained(job["merged"], dtype=torch.float32)
    _answer(turn, first, _generating(model.eval(), AutoTokenizer.from_pretrained(job["merged"])))


def peft_mixed(turn: Turn, job: Job) -> None:
    """PEFT with every character's adapter loaded and another one for each row (`adapter_names`)."""
    first = turn.begin()
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(1)
    base: Any = AutoModelForCausalLM.from_pretrained(job["base"], dtype=torch.float32)
    folders = job["adapters"]
    model: Any = PeftModel.from_pretrained(base, folders[0], adapter_name="0")
    for number, folder in enumerate(folders[1:], start=1):
        model.load_adapter(folder, adapter_name=str(number))
    _answer(turn, first, _generating(model.eval(), AutoTokenizer.from_pretrained(job["base"]), mixed=True))


def ctranslate2(turn: Turn, job: Job) -> None:
    """CTranslate2 with 8-bit weights, converted from the character's whole model; it cannot mix characters in a batch."""
    first = turn.begin()
    import ctranslate2 as engine
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(Path(job["merged"]) / "tokenizer.json"))
    generator = engine.Generator(job["converted"], device="cpu", intra_threads=job["threads"])
    prompt = ["<|endoftext|>", *tokenizer.encode(PROMPT, add_special_tokens=False).tokens]

    def say(request: Job) -> int:
        least = request["tokens"] if request["forced"] else 0
        found = generator.generate_batch(
            [prompt] * request["rows"], max_length=request["tokens"], min_length=least, include_prompt_in_result=False,
            sampling_topk=TOP_K, sampling_topp=TOP_P,
        )  # fmt: skip
        return sum(min(len(one.sequences_ids[0]) + 1, request["tokens"]) for one in found)

    _answer(turn, first, say)


def convert(turn: Turn, job: Job) -> None:
    """Turn a whole model into CTranslate2's form, which every new version of a character would need."""
    import ctranslate2 as engine

    for _ in turn.requests():
        began = time.monotonic()
        engine.converters.TransformersConverter(job["merged"]).convert(job["converted"], quantization="int8", force=True)
        config = Path(job["converted"]) / "config.json"
        # It writes null for a token that the tokenizer has not, and cannot read that.
        fields = json.loads(config.read_text(encoding="utf-8"))
        config.write_text(json.dumps(fields | {"unk_token": fields["unk_token"] or "<|endoftext|>"}), encoding="utf-8")
        turn.end(convert_seconds=round(time.monotonic() - began, 2))


def _generating(model: Any, tokenizer: Any, *, mixed: bool = False) -> Callable[[Job], int]:
    import torch

    prompt = tokenizer(PROMPT, add_special_tokens=False).input_ids
    start = tokenizer.bos_token_id

    def say(request: Job) -> int:
        ids = torch.tensor([[start, *prompt]] * request["rows"])
        names = {"adapter_names": [str(row % request["characters"]) for row in range(request["rows"])]} if mixed else {}
        with torch.inference_mode():
            out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), pad_token_id=start, **names, **_sampling(request))
        said = out[:, ids.shape[1] :]
        if request["forced"]:
            return int(said.numel())
        # The first end-of-text counts, what follows it is padding.
        return int(((said != start).sum(1) + 1).clamp(max=request["tokens"]).sum())

    return say


def _sampling(request: Job) -> dict[str, Any]:
    least = {"min_new_tokens": request["tokens"]} if request["forced"] else {}
    return {"do_sample": True, "top_k": TOP_K, "top_p": TOP_P, "max_new_tokens": request["tokens"], **least}


def _answer(turn: Turn, first: Job | None, say: Callable[[Job], int]) -> None:
    """Answer the first request and all others with the seconds and the tokens of each call, after one that is not timed."""
    request = first
    while request is not None:
        say(request)
        calls = []
        for _ in range(request["calls"]):
            began = time.perf_counter()
            tokens = say(request)
            calls.append({"seconds": time.perf_counter() - began, "tokens": tokens})
        turn.end(calls=calls)
        request = turn.begin()


@paced(SPEAKING)
def ours(turn: Turn, job: Job) -> None:
    """Mynah's `Speaker`, with each row's own adapter. A forced text draws ends as any token, and goes on."""
    first = turn.begin()
    from bot.lm.generation import Speaker
    from bot.lm.loading import resident_of

    class Bounded(Speaker):
        tokens = 0
        forced = False

        def _is_done(self, text: Any) -> bool:
            return len(text.taken) >= self.tokens or (not self.forced and super()._is_done(text))

    speaker = Bounded(resident_of(job["base"], Path(job["copies"])))
    calls = 0

    def say(request: Job) -> int:
        nonlocal calls
        calls += 1
        speaker.tokens, speaker.forced = request["tokens"], request["forced"]
        count, rows = request["characters"], request["rows"]
        tellings = []
        for number, folder in enumerate(job["adapters"][:count]):
            seeds = [calls * rows + row for row in range(number, rows, count)]
            tellings.append(speaker.begin(folder, PROMPT, seeds))
        while not all(telling.done for telling in tellings):
            speaker.step()
        return sum(len(draft.ids) - draft.prompted for telling in tellings for draft in telling.told)

    _answer(turn, first, say)
