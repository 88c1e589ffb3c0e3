"""The one scorer of everybody's models: plain transformers in 32 bits, each held-out tweet on its own."""

from pathlib import Path
from typing import Any

from benchmarks.child import Job, Turn
from bot.tweets.dataset import read_dataset


def score(turn: Turn, job: Job) -> None:
    """Answer each request (`model`: a folder with a whole model or an adapter, or None for the base) with its held-out loss."""
    import torch
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(job["base"])
    heldout = read_dataset(Path(job["dataset"])).heldout
    end = tokenizer.eos_token_id
    for request in turn.requests():
        model, bias = _model(job["base"], request["model"])
        room = model.config.n_positions - 1
        total, count = 0.0, 0
        with torch.inference_mode():
            for tweet in heldout:
                ids = tokenizer(tweet.text, add_special_tokens=False).input_ids
                ends = not tweet.cut and len(ids) <= room
                ids = [end, *ids[:room], *([end] if ends else [])]
                logits = model(input_ids=torch.tensor([ids[:-1]])).logits[0]
                losses = torch.nn.functional.cross_entropy(logits + bias, torch.tensor(ids[1:]), reduction="sum")
                total, count = total + float(losses), count + len(ids) - 1
        turn.end(heldout_loss=round(total / count, 4), heldout_targets=count)


def _model(base: str, folder: str | None) -> tuple[Any, Any]:
    """The model to score, and what a character adds to its logits."""
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    adapter = folder is not None and (Path(folder) / "adapter_config.json").is_file()
    source = base if adapter or folder is None else folder
    model: Any = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
    bias = torch.zeros(())
    if adapter and folder is not None:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, folder)
        beside = Path(folder) / "output_bias.safetensors"
        if beside.is_file():
            bias = load_file(beside)["bias"].float()
    return model.eval(), bias
