"""huggingtweets' own recipe, to compare with: the whole model fine-tuned on its tweets laid end to end, as Boris Dayma's project did.

Four times over, the tweets are shuffled and joined by the end token, and what comes of it is cut into blocks of the longest context, one
block a step; tweets are cut where a block ends, and see the tweets before them in their block. Only its held-out loss is ours: of each
tweet by itself, led by the start token, as for every character of Mynah.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, get_cosine_schedule_with_warmup
from transformers.utils import logging

from bot.bases import base_folder
from bot.errors import TooLittleText
from bot.lm.base import load_base
from bot.lm.batches import IGNORED, Row, rows
from bot.lm.tokenizer import Tokenizer
from bot.tweets.dataset import Dataset

EPOCHS = 4
LONGEST_BLOCK = 1024
LEARNING_RATE = 1.372e-4
DROPOUT = 0.1
_CLIP = 1.0
_DROPOUTS = ("resid_pdrop", "embd_pdrop", "attn_pdrop", "attention_dropout")
"""What configs call the share of numbers that are dropped."""


@dataclass(frozen=True)
class FineTuned:
    """What the recipe came to."""

    model: PreTrainedModel
    tokenizer: Tokenizer
    heldout_base: float
    """Nats per token, of each held-out tweet by itself."""
    heldout_model: float
    losses: tuple[float, ...]
    """Of each step, nats per token of its block."""
    seconds: float
    """Of training alone."""


def blocks(tokenizer: Tokenizer, texts: Sequence[str], length: int, seed: int) -> list[list[int]]:
    """What each step reads. The last tokens, too few for a block, are left out.

    Raises:
        TooLittleText: there is not enough for one block.
    """
    encoded = [tokenizer.encode(text) for text in texts]
    order = random.Random(seed)  # noqa: S311 -- this very generator is part of the recipe
    stream = [tokenizer.end]
    for _ in range(EPOCHS):
        order.shuffle(encoded)
        for ids in encoded:
            stream += [*ids, tokenizer.end]
    cut = [stream[at : at + length] for at in range(0, len(stream) - length + 1, length)]
    if not cut:
        raise TooLittleText(f"Four times over, these tweets are {len(stream)} tokens, and huggingtweets' recipe needs a block of {length}.")
    return cut


def train_huggingtweets(
    base: str, dataset: Dataset, *, seed: int, report: Callable[[int, int], None] = lambda _step, _steps: None
) -> FineTuned:
    """Fine-tune `nano` or the model in a folder, on 32 bits; `report` is told the steps done and to do.

    Raises:
        BadInput: the folder holds no causal language model that may be loaded.
        TooLittleText: there is not enough for one block, or nothing held out.
    """
    loaded = load_base(base)
    tokenizer, heldout = loaded.tokenizer, rows(loaded, dataset.heldout)
    if not heldout:
        raise TooLittleText("No tweet is held out, so nothing can be compared.")
    work = blocks(tokenizer, [tweet.text for tweet in dataset.train], min(LONGEST_BLOCK, loaded.context), seed)
    model = _load(base_folder(base)).to(loaded.device)  # type: ignore[arg-type]  # its decorator hides the signature
    del loaded
    before = _heldout_loss(model, heldout)
    started = time.monotonic()
    losses = _train(model, work, seed, report)
    seconds = time.monotonic() - started
    return FineTuned(model, tokenizer, before, _heldout_loss(model, heldout), losses, round(seconds, 1))


def _load(folder: Path) -> PreTrainedModel:
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers types it not
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    for name in _DROPOUTS:
        if hasattr(config, name):
            setattr(config, name, DROPOUT)
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        folder, config=config, local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=torch.float32
    )
    return model


def _train(model: PreTrainedModel, work: Sequence[Sequence[int]], seed: int, report: Callable[[int, int], None]) -> tuple[float, ...]:
    torch.manual_seed(seed)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    schedule = get_cosine_schedule_with_warmup(optimizer, num_warmup_steps=0, num_training_steps=len(work))
    losses = []
    for done, block in enumerate(work, start=1):
        ids = torch.tensor([block], device=model.device)
        loss: Tensor = model(input_ids=ids, labels=ids, use_cache=False).loss
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), _CLIP)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
        report(done, len(work))
    return tuple(losses)


def _heldout_loss(model: PreTrainedModel, heldout: Sequence[Row]) -> float:
    """Nats per token, each tweet by itself."""
    model.train(mode=False)
    total, count = 0.0, 0
    with torch.no_grad():
        for row in heldout:
            logits = model(input_ids=torch.tensor([row.inputs], device=model.device), use_cache=False).logits[0]
            targets = torch.tensor(row.targets, device=model.device)
            total += float(functional.cross_entropy(logits, targets, reduction="sum", ignore_index=IGNORED))
            count += int((targets != IGNORED).sum())
    return total / count
