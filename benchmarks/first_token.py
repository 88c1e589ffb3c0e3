"""One whole process of `benchmarks.cold_start`: from nothing to the first token, then out. Imports nothing but what its contestant needs.

python -m benchmarks.first_token <contestant> <base or model folder> [<adapter, or converted folder> [<folder of packed copies>]]
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PROMPT = "My dream is"


def transformers(model: str) -> None:
    """A model and its tokenizer as transformers loads them."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    loaded: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    loaded.generate(**tokenizer(_PROMPT, return_tensors="pt"), do_sample=True, max_new_tokens=1, pad_token_id=tokenizer.eos_token_id)


def pipeline(model: str) -> None:
    """The pipeline of a model card."""
    import torch
    from transformers import pipeline as make

    make("text-generation", model=model, dtype=torch.float32)(_PROMPT, max_new_tokens=1)


def ctranslate2(model: str, converted: str) -> None:
    """CTranslate2, of a model that has been converted before."""
    import ctranslate2 as engine
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(Path(model) / "tokenizer.json"))
    prompt = ["<|endoftext|>", *tokenizer.encode(_PROMPT, add_special_tokens=False).tokens]
    engine.Generator(converted, device="cpu").generate_batch([prompt], max_length=1, sampling_topk=50)


def mynah(base: str, adapter: str, copies: str) -> None:
    """The base and one character of Mynah. A start makes the packed copy of the base in `copies`, where it is not there yet."""
    from bot.executor.child import collect_rarely

    collect_rarely()
    from bot.lm.loading import load_speaker

    speaker = load_speaker(base, Path(copies))
    speaker.begin(adapter, _PROMPT, [1])
    speaker.step()


CONTESTANTS: dict[str, Callable[..., None]] = {
    "transformers": transformers,
    "transformers pipeline": pipeline,
    "CTranslate2 int8": ctranslate2,
    "Mynah": mynah,
}


def main() -> None:
    """Speak, tell that it is done, and then how much memory it took."""
    CONTESTANTS[sys.argv[1]](*sys.argv[2:])
    print("spoken", flush=True)

    from benchmarks.child import peak_rss_mb

    print(peak_rss_mb())


if __name__ == "__main__":
    main()
