import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.nn import functional
from torch.utils.data import Dataset as TorchDataset
from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

from bot.errors import TooLittleText
from bot.lm import huggingtweets
from bot.lm.base import load_base
from bot.lm.batches import rows
from bot.lm.huggingtweets import EPOCHS, LEARNING_RATE, blocks, train_huggingtweets
from bot.tweets.cleaning import Kept
from bot.tweets.dataset import Dataset

Tiny = Callable[[str], Path]


class InOrder(TorchDataset[dict[str, torch.Tensor]]):
    def __init__(self, work: list[list[int]]) -> None:
        self.work = work

    def __len__(self) -> int:
        return len(self.work)

    def __getitem__(self, at: int) -> dict[str, torch.Tensor]:
        ids = torch.tensor(self.work[at])
        return {"input_ids": ids, "labels": ids}


class OneByOne(Trainer):
    """The Trainer, with the blocks in their order: the recipe has shuffled the tweets, and takes the blocks as they come."""

    def _get_train_sampler(self, *_args: object) -> torch.utils.data.Sampler[int]:
        return torch.utils.data.SequentialSampler(range(len(self.train_dataset)))  # type: ignore[arg-type]  # InOrder has a length


def test_the_losses_are_those_of_transformers_trainer(
    tiny: Tiny, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingtweets, "DROPOUT", 0.0)
    base = load_base(str(tiny("gpt2")))
    ours = train_huggingtweets(str(tiny("gpt2")), dataset, seed=4)
    work = blocks(base.tokenizer, [tweet.text for tweet in dataset.train], base.context, 4)
    model = AutoModelForCausalLM.from_pretrained(tiny("gpt2"), resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
    arguments = TrainingArguments(
        output_dir=str(tmp_path),
        num_train_epochs=1,
        per_device_train_batch_size=1,
        learning_rate=LEARNING_RATE,
        lr_scheduler_type="cosine",
        warmup_steps=0,
        weight_decay=0.0,
        max_grad_norm=1.0,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        seed=4,
    )
    trainer = OneByOne(model=model, args=arguments, train_dataset=InOrder(work))
    # Or it divides by the number of tokens instead of that of predictions, one less, which huggingtweets' version did not.
    trainer.model_accepts_loss_kwargs = False
    trainer.train()
    theirs = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(ours.losses) == len(work) > 10
    assert ours.losses == pytest.approx(theirs, abs=2e-4)
    assert max(ours.losses) - min(ours.losses) > 0.02
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(ours.model.state_dict()[name], tensor, rtol=1e-3, atol=1e-5, msg=name)


def test_the_heldout_loss_is_that_of_each_tweet_by_itself(tiny: Tiny, dataset: Dataset) -> None:
    base = load_base(str(tiny("gpt2")))
    tuned = train_huggingtweets(str(tiny("gpt2")), dataset, seed=4)
    total, count = 0.0, 0
    for row in rows(base, dataset.heldout):
        with torch.no_grad():
            logits = tuned.model(torch.tensor([row.inputs])).logits[0]
        total += float(functional.cross_entropy(logits, torch.tensor(row.targets), reduction="sum"))
        count += sum(target >= 0 for target in row.targets)
    assert tuned.heldout_model == pytest.approx(total / count)
    assert tuned.heldout_model < tuned.heldout_base


def test_dropout_is_on_while_it_learns(tiny: Tiny, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []
    with_dropout = train_huggingtweets("nano", Dataset(dataset.train, dataset.heldout[:2], ""), seed=4, report=lambda *at: told.append(at))
    monkeypatch.setattr(huggingtweets, "DROPOUT", 0.0)
    without = train_huggingtweets("nano", Dataset(dataset.train, dataset.heldout[:2], ""), seed=4)
    assert told == [(n, len(told)) for n in range(1, len(told) + 1)]
    assert with_dropout.heldout_base == without.heldout_base
    assert with_dropout.losses[0] > without.losses[0] + 0.01


def test_each_block_goes_on_where_the_one_before_ended(tiny: Tiny) -> None:
    tokenizer = load_base(str(tiny("gpt2"))).tokenizer
    texts = ["The heron hums.", "My kettle waits.", "An old tram."]
    shuffled, order, stream = [tokenizer.encode(text) for text in texts], random.Random(9), [tokenizer.end]
    for _ in range(EPOCHS):
        order.shuffle(shuffled)
        stream += [i for ids in shuffled for i in (*ids, tokenizer.end)]
    found = blocks(tokenizer, texts, 20, 9)
    assert [i for block in found for i in block] == stream[: len(stream) // 20 * 20]
    assert found != blocks(tokenizer, texts, 20, 10)


def test_too_little_for_one_block_is_refused(tiny: Tiny) -> None:
    tweets = (Kept("My kettle waits.", cut=False),)
    with pytest.raises(TooLittleText, match="a block of 128"):
        train_huggingtweets(str(tiny("gpt2")), Dataset(tweets, tweets, ""), seed=0)
    with pytest.raises(TooLittleText, match="held out"):
        train_huggingtweets(str(tiny("gpt2")), Dataset(tweets, (), ""), seed=0)
