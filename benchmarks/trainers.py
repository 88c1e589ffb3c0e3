"""The contestants of `benchmarks.training`: each loads a base, learns the tweets of a dataset file, and saves.

Asked once, without `window_s`, a contestant trains to the end. With it, it answers each request with the rate of so many seconds of
training and then waits; asked to `finish` it saves what it has.
"""

import contextlib
import random
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.child import Job, Turn, paced
from benchmarks.material import bytes_in
from bot.executor.process import TRAINING
from bot.tweets.dataset import read_dataset

EPOCHS = 4
HUGGINGTWEETS_RATE = 1.372e-4
PEFT_RATE, PEFT_RANK, PEFT_ALPHA, PEFT_BATCH = 1e-3, 16, 32, 8
_IGNORED = -100


@dataclass
class Pace:
    """Tokens and seconds of a contestant's steps. The first step of a window run warms up and does not count."""

    turn: Turn
    window_s: float | None
    tokens: float = 0.0
    seconds: float = 0.0
    steady_tokens: float = 0.0
    steady_seconds: float = 0.0
    """Without the steps that had an evaluation with them."""
    setup_s: float = 0.0
    curve: list[tuple[float, float]] = field(default_factory=list)
    """(seconds since the process began, held-out loss), of those who measure it."""
    _last: float | None = None
    _warm: bool = False

    def begin(self) -> None:
        """The first step comes next."""
        self._last = time.monotonic()
        self.setup_s = self._last - self.turn.started

    def stepped(self, tokens: float, *, evaluated: bool = False) -> bool:
        """A step of so many tokens is done; whether to go on."""
        now = time.monotonic()
        if self._last is None:
            raise RuntimeError("a step before the beginning")
        if self._warm or self.window_s is None:
            self.tokens += tokens
            self.seconds += now - self._last
            if not evaluated:
                self.steady_tokens += tokens
                self.steady_seconds += now - self._last
        self._warm = True
        if self.window_s is not None and self.steady_tokens and self.seconds >= self.window_s:
            self.turn.end(tokens_per_second=self.rate, tokens=self.tokens, seconds=self.seconds)
            request = self.turn.begin()
            if request is None or request.get("finish"):
                return False
            self.tokens = self.seconds = self.steady_tokens = self.steady_seconds = 0.0
        self._last = time.monotonic()
        return True

    @property
    def rate(self) -> float:
        """Tokens in a second of training, evaluations left out."""
        return round(self.steady_tokens / self.steady_seconds, 2) if self.steady_seconds else 0.0

    def finish(self, saved: Path, save_s: float, **more: object) -> None:
        """The last answer."""
        self.turn.end(
            tokens_per_second=self.rate,
            train_seconds=round(self.seconds, 3),
            setup_seconds=round(self.setup_s, 3),
            save_seconds=round(save_s, 3),
            seconds=round(time.monotonic() - self.turn.started, 3),
            saved_bytes=bytes_in(saved, ".safetensors"),
            curve=self.curve,
            **more,
        )


def huggingtweets(turn: Turn, job: Job) -> None:
    """The original recipe with the HF Trainer: everything is trained, in blocks of the whole context, one at a time.

    With `medium`, products of 32-bit matrices may be computed in 16 bits: the one line that a careful user would add.
    """
    turn.begin()
    import torch

    if job.get("medium"):
        torch.set_float32_matmul_precision("medium")
    model, tokenizer, texts = _loaded(job, resid_pdrop=0.1, embd_pdrop=0.1, attn_pdrop=0.1)
    block = model.config.n_positions
    blocks = shuffled_blocks([tokenizer(t, add_special_tokens=False).input_ids for t in texts], tokenizer.eos_token_id, block, job["seed"])
    trainer, pace = _trainer(turn, job, model, blocks, batch=1, rate=HUGGINGTWEETS_RATE, epochs=1)
    _train_and_save(trainer, pace, Path(job["out"]))


def peft_trainer(turn: Turn, job: Job) -> None:
    """LoRA on every linear layer with PEFT and the HF Trainer, one tweet per row, padded."""
    turn.begin()
    from peft import LoraConfig, get_peft_model

    model, tokenizer, texts = _loaded(job)
    config = LoraConfig(r=PEFT_RANK, lora_alpha=PEFT_ALPHA, target_modules="all-linear", fan_in_fan_out=True, task_type="CAUSAL_LM")
    end = tokenizer.eos_token_id
    rows = [[end, *tokenizer(t, add_special_tokens=False).input_ids[: model.config.n_positions - 2], end] for t in texts]
    trainer, pace = _trainer(turn, job, get_peft_model(model, config), rows, batch=PEFT_BATCH, rate=PEFT_RATE, epochs=EPOCHS)
    _train_and_save(trainer, pace, Path(job["out"]))


@paced(TRAINING)
def ours(turn: Turn, job: Job) -> None:
    """Mynah's training; `preset` and `overrides` as in `bot.lm.training.plan`."""
    turn.begin()
    from benchmarks.flops import trained_per_token
    from bot.lm.base import load_base
    from bot.lm.batches import rows
    from bot.lm.training import Preempted, TrainingStep, plan, train

    base, dataset = load_base(job["base"]), read_dataset(Path(job["dataset"]))
    preset = {"preset": job["preset"]} if "preset" in job else {}
    recipe = plan(base, dataset, job["overrides"], **preset)
    pace = Pace(turn, job.get("window_s"))
    loaded_s = time.monotonic() - turn.started
    every_token = recipe.epochs * sum(len(row.inputs) for row in rows(base, dataset.train))
    done, stop = 0.0, False

    def report(step: TrainingStep) -> None:
        nonlocal done, stop
        if pace.setup_s == 0:
            pace.begin()
        elif step.fraction > done and not stop:
            stop = not pace.stepped((step.fraction - done) * every_token, evaluated=step.heldout_loss != pace.curve[-1][1])
        done = step.fraction
        if step.heldout_loss is not None and (not pace.curve or step.heldout_loss != pace.curve[-1][1]):
            pace.curve.append((time.monotonic() - turn.started, step.heldout_loss))

    out = Path(job["out"])
    with contextlib.suppress(Preempted):
        train(
            base, dataset, recipe, out=out, checkpoints=out.with_suffix(".checkpoints"), seed=job["seed"], report=report,
            should_stop=lambda: stop, checkpoint_every_s=1e9,
        )  # fmt: skip
    save_s, adapter = _saved(base, recipe, out)
    pace.finish(
        out,
        save_s,
        loaded_seconds=round(loaded_s, 3),
        flops_per_token=trained_per_token(base.network, adapter),
        dtype=str(base.dtype).removeprefix("torch."),
        epochs=recipe.epochs,
    )


def matrix_peak(turn: Turn, job: Job) -> None:
    """The rate at which this machine multiplies large matrices of bfloat16: what any training is held against."""
    import torch

    size = job["size"]
    a, b = (torch.randn(size, size, dtype=torch.bfloat16) for _ in range(2))
    for _ in turn.requests():
        best = float("inf")
        for _ in range(8):
            began = time.perf_counter()
            torch.mm(a, b)
            best = min(best, time.perf_counter() - began)
        turn.end(flops_per_second=2 * size**3 / best)


def shuffled_blocks(tweets: Sequence[list[int]], end: int, block: int, seed: int) -> list[list[int]]:
    """The dataset of huggingtweets: all epochs, each shuffled, laid end to end with `end` between, cut into blocks; the rest is dropped."""
    shuffle = random.Random(seed)
    stream = [end]
    for _ in range(EPOCHS):
        for tweet in shuffle.sample(tweets, len(tweets)):
            stream += [*tweet, end]
    return [stream[at : at + block] for at in range(0, len(stream) - block + 1, block)]


def _saved(base: Any, recipe: Any, out: Path) -> tuple[float, Any]:
    """The adapter of a finished training; of one that was stopped, one of the same size, and how long it takes to save."""
    import torch

    from bot.lm.adapter import Adapter
    from bot.lm.adapter_files import ADAPTER

    if (out / ADAPTER).is_file():
        return 0.0, Adapter.load(out, base.device)
    adapter = Adapter.fresh(
        base.network,
        rank=recipe.rank,
        embedding_rank=recipe.embedding_rank,
        first_layer=recipe.first_layer,
        generator=torch.Generator().manual_seed(0),
    )
    began = time.monotonic()
    adapter.save(out, base.network, base_name=base.name)
    return time.monotonic() - began, adapter


def _loaded(job: Job, **config: float) -> tuple[Any, Any, list[str]]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(job["seed"])
    tokenizer = AutoTokenizer.from_pretrained(job["base"])
    model = AutoModelForCausalLM.from_pretrained(job["base"], dtype=torch.float32, **config)
    return model, tokenizer, [tweet.text for tweet in read_dataset(Path(job["dataset"])).train]


def _trainer(
    turn: Turn, job: Job, model: Any, rows: list[list[int]], *, batch: int, rate: float, epochs: int
) -> tuple[Any, Pace]:  # fmt: skip
    """A Trainer whose steps are timed. What is not set here is the library's default, as it was huggingtweets'."""
    import torch
    from transformers import Trainer, TrainerCallback, TrainingArguments

    pace = Pace(turn, job.get("window_s"))
    lengths: deque[int] = deque()

    def collate(batch_rows: list[dict[str, list[int]]]) -> dict[str, Any]:
        ids = [row["input_ids"] for row in batch_rows]
        longest = max(map(len, ids))
        lengths.append(sum(map(len, ids)))
        return {
            "input_ids": torch.tensor([row + [0] * (longest - len(row)) for row in ids]),
            "labels": torch.tensor([row + [_IGNORED] * (longest - len(row)) for row in ids]),
            **({"attention_mask": torch.tensor([[1] * len(r) + [0] * (longest - len(r)) for r in ids])} if batch > 1 else {}),
        }

    class Clock(TrainerCallback):
        def on_train_begin(self, *_arguments: object, **_more: object) -> None:
            pace.begin()

        def on_step_end(self, args: object, state: object, control: Any, **_more: object) -> None:
            del args, state
            control.should_training_stop |= not pace.stepped(lengths.popleft())

    arguments = TrainingArguments(
        output_dir=job["out"],
        learning_rate=rate,
        lr_scheduler_type="cosine",
        per_device_train_batch_size=batch,
        num_train_epochs=epochs,
        logging_steps=5,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=job["seed"],
    )
    data = [{"input_ids": row} for row in rows]
    return Trainer(model=model, args=arguments, train_dataset=data, data_collator=collate, callbacks=[Clock()]), pace


def _train_and_save(trainer: Any, pace: Pace, out: Path) -> None:
    trainer.train()
    began = time.monotonic()
    trainer.save_model(str(out))
    pace.finish(out, time.monotonic() - began, dtype="float32", epochs=EPOCHS)
