"""Pretrain `nano`, the base that ships in the package, from the text in ../shared/data/pretrain.

Makes `bot/lm/nano/`: `tokenizer.json` (byte-level BPE, 8,192 entries), `config.json` and `model.safetensors` (GPT-2 layout, float16),
`training.json` (what was done, and the held-out loss by source) and `words.txt` (the words that it has read more than once). Any
transformers GPT-2 loader reads the folder.

The loop is plain torch: bf16 autocast, attention by `baddbmm` (its backward is faster on CPU than SDPA's), cross-entropy in chunks so
that the full logits never exist, Muon for the matrices inside the blocks and AdamW for the rest, a trapezoidal schedule over tokens or
minutes, whichever ends first. SIGTERM saves the state; `--resume` goes on from it, and with more `--minutes` or `--passes` than before from
the end of a run: the rate rises again and falls over what was added. The weights in the package come from `--minutes 98`, then
`--resume --minutes 203`, and then `scripts/nano_letters.py`.
"""

import argparse
import gzip
import hashlib
import json
import math
import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from torch.nn import functional

from bot.lm.likeness import spelt
from bot.lm.vocabulary import WORDS

# glibc gives blocks above 32 MB back to the kernel at each step; keeping them is 1.5 times as fast. Read when a process starts.
TUNABLES = "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=4294967295:glibc.malloc.trim_threshold=17179869184"
END = "<|endoftext|>"
VOCABULARY, WIDTH, HEADS, LAYERS, CONTEXT = 8192, 256, 4, 6, 512
# Turns through each file in one pass: prose and talk of today count for more than the fiction that makes up most of the text.
SOURCES = {"pd_fiction_1890_1927_en": 1, "digitalgov_prose_en": 3, "sgd_dialogues_en": 1, "topical_chat_en": 3}
TOKENS_PER_STEP = 4096
CHUNK = 512

Weights = dict[str, Tensor]


def read(folder: Path, name: str) -> tuple[list[str], list[str]]:
    """The documents of one file, split into (training, held-out): about 1 % held out, by the hash of the text."""
    train: list[str] = []
    heldout: list[str] = []
    with gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            text = json.loads(line)["text"]
            side = heldout if hashlib.sha256(text.encode()).digest()[0] < 3 else train
            side.append(text)
    return train, heldout


def train_tokenizer(texts: Iterable[str]) -> Tokenizer:
    """A byte-level BPE: every text can be encoded, and comes back byte for byte."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def encode(tokenizer: Tokenizer, texts: list[str]) -> Tensor:
    """All texts as one vector of ids, each text led by the end-of-text token."""
    end = tokenizer.token_to_id(END)
    return torch.tensor([i for e in tokenizer.encode_batch(texts) for i in (end, *e.ids)], dtype=torch.int32)


def new_weights(seed: int) -> Weights:
    """GPT-2 weights under transformers' names, initialised as GPT-2 was (residual projections scaled by depth)."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int, std: float = 0.02) -> Tensor:
        return torch.empty(*shape).normal_(0, std, generator=generator).requires_grad_()

    def layer_norm(prefix: str) -> Weights:
        return {f"{prefix}.weight": torch.ones(WIDTH).requires_grad_(), f"{prefix}.bias": torch.zeros(WIDTH).requires_grad_()}

    def linear(prefix: str, inputs: int, outputs: int, std: float = 0.02) -> Weights:
        return {f"{prefix}.weight": normal(inputs, outputs, std=std), f"{prefix}.bias": torch.zeros(outputs).requires_grad_()}

    weights = {"transformer.wte.weight": normal(VOCABULARY, WIDTH), "transformer.wpe.weight": normal(CONTEXT, WIDTH, std=0.01)}
    residual = 0.02 / math.sqrt(2 * LAYERS)
    for layer in range(LAYERS):
        h = f"transformer.h.{layer}"
        weights |= layer_norm(f"{h}.ln_1") | linear(f"{h}.attn.c_attn", WIDTH, 3 * WIDTH)
        weights |= linear(f"{h}.attn.c_proj", WIDTH, WIDTH, residual) | layer_norm(f"{h}.ln_2")
        weights |= linear(f"{h}.mlp.c_fc", WIDTH, 4 * WIDTH) | linear(f"{h}.mlp.c_proj", 4 * WIDTH, WIDTH, residual)
    return weights | layer_norm("transformer.ln_f")


def hidden_states(weights: Weights, ids: Tensor) -> Tensor:
    """Final hidden states `[rows * length, WIDTH]` of token ids `[rows, length]`."""
    rows, length = ids.shape
    mask = torch.full((length, length), -1e4).triu(1)[None]
    x = functional.embedding(ids, weights["transformer.wte.weight"]) + weights["transformer.wpe.weight"][:length]

    def norm(x: Tensor, name: str) -> Tensor:
        return functional.layer_norm(x, (WIDTH,), weights[f"{name}.weight"], weights[f"{name}.bias"])

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ weights[f"{name}.weight"] + weights[f"{name}.bias"]

    for layer in range(LAYERS):
        h = f"transformer.h.{layer}"
        qkv = linear(norm(x, f"{h}.ln_1"), f"{h}.attn.c_attn")
        q, k, v = qkv.view(rows, length, 3, HEADS, -1).permute(2, 0, 3, 1, 4).reshape(3, rows * HEADS, length, -1)
        scores = torch.baddbmm(mask.to(q.dtype), q, k.transpose(1, 2), alpha=q.shape[-1] ** -0.5)
        attended = (scores.softmax(-1).to(v.dtype) @ v).view(rows, HEADS, length, -1).transpose(1, 2).reshape(rows, length, WIDTH)
        x = x + linear(attended, f"{h}.attn.c_proj")
        x = x + linear(functional.gelu(linear(norm(x, f"{h}.ln_2"), f"{h}.mlp.c_fc"), approximate="tanh"), f"{h}.mlp.c_proj")
    return norm(x, "transformer.ln_f").reshape(-1, WIDTH)


def total_loss(weights: Weights, ids: Tensor, targets: Tensor) -> Tensor:
    """Sum of the cross-entropies in nats."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        x, targets = hidden_states(weights, ids), targets.reshape(-1)
        head = weights["transformer.wte.weight"]
        parts = [
            functional.cross_entropy(functional.linear(x[at : at + CHUNK], head).float(), targets[at : at + CHUNK], reduction="sum")
            for at in range(0, len(x), CHUNK)
        ]
    return torch.stack(parts).sum()


def heldout_losses(weights: Weights, heldout: dict[str, tuple[Tensor, int]]) -> dict[str, dict[str, float]]:
    """Source → nats per token and per byte on its held-out documents, in blocks of CONTEXT; `all` is over every token."""
    result: dict[str, dict[str, float]] = {}
    nats = size = 0.0
    for name, (ids, size_of_all) in heldout.items():
        total, blocks = 0.0, (len(ids) - 1) // CONTEXT
        with torch.no_grad():
            for first in range(0, blocks, 8):
                rows = min(8, blocks - first)
                block = ids[first * CONTEXT : (first + rows) * CONTEXT + 1].long()
                total += total_loss(weights, block[:-1].view(rows, -1), block[1:].view(rows, -1)).item()
        tokens = blocks * CONTEXT
        bytes_read = size_of_all * tokens / len(ids)
        result[name] = {"tokens": tokens, "per_token": round(total / tokens, 4), "per_byte": round(total / bytes_read, 4)}
        nats, size = nats + total, size + bytes_read
    tokens = sum(int(r["tokens"]) for r in result.values())
    return result | {"all": {"tokens": tokens, "per_token": round(nats / tokens, 4), "per_byte": round(nats / size, 4)}}


class Batches:
    """Blocks of the training text in an order that depends on the seed and the pass alone; the step number says where to go on."""

    def __init__(self, parts: list[tuple[Tensor, int]], seed: int) -> None:
        self._parts, self._seed = parts, seed
        self._number, self._blocks = -1, torch.empty(0)
        self.steps_per_pass = sum(len(ids) * turns for ids, turns in parts) // TOKENS_PER_STEP

    def _pass(self, number: int) -> Tensor:
        if self._number != number:
            generator = torch.Generator().manual_seed(self._seed + number)
            blocks = []
            for ids, turns in self._parts:
                for _ in range(turns):
                    # Each turn through a file starts elsewhere, so that its blocks are cut at other places.
                    start = int(torch.randint(CONTEXT, (1,), generator=generator))
                    count = (len(ids) - start - 1) // CONTEXT
                    blocks.append(torch.stack([ids[start + i * CONTEXT : start + (i + 1) * CONTEXT + 1] for i in range(count)]))
            joined = torch.cat(blocks)
            self._number, self._blocks = number, joined[torch.randperm(len(joined), generator=generator)]
        return self._blocks

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        """(ids, targets) of a step; three steps of four use half of the context, which is faster."""
        number, at = divmod(step, self.steps_per_pass)
        blocks, rows = self._pass(number), TOKENS_PER_STEP // CONTEXT
        start = at * rows % (len(blocks) - rows)
        chosen = blocks[start : start + rows].long()
        length = CONTEXT // 2 if step % 4 else CONTEXT
        return chosen[:, :-1].reshape(-1, length), chosen[:, 1:].reshape(-1, length)


def rate(progress: float) -> float:
    """Share of the peak learning rate: 1 % warm-up, flat to the middle, linear to 2 %."""
    return min(progress / 0.01, 1.0) if progress < 0.5 else max(0.02, (1 - progress) / 0.5)


class Run:
    """Weights, optimisers and how far the run is."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.weights = new_weights(options.seed)
        matrices = [w for n, w in self.weights.items() if ".h." in n and w.dim() == 2]
        inside = {id(w) for w in matrices}
        others = [w for w in self.weights.values() if id(w) not in inside]
        self.optimizers: dict[str, tuple[torch.optim.Optimizer, float]] = {
            "adamw": (torch.optim.AdamW(others, lr=0.0, betas=(0.9, 0.95), weight_decay=0.0, fused=True), options.adamw_rate),
            "muon": (torch.optim.Muon(matrices, lr=0.0, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"), options.muon_rate),
        }
        self.step, self.spent = 0, 0.0
        self.resumed_at: list[int] = []
        self.history: list[list[float]] = []

    def save(self, path: Path) -> None:
        """Write everything that `load` needs, by rename."""
        path.parent.mkdir(parents=True, exist_ok=True)
        optimizers = {name: optimizer.state_dict() for name, (optimizer, _) in self.optimizers.items()}
        state = {
            "step": self.step,
            "spent": self.spent,
            "history": self.history,
            "resumed_at": self.resumed_at,
            "weights": self.weights,
            **optimizers,
        }
        torch.save(state, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").replace(path)

    def load(self, path: Path) -> None:
        """Go on where `save` was called."""
        state = torch.load(path, weights_only=True)
        self.step, self.spent, self.history = state["step"], state["spent"], state["history"]
        self.resumed_at = [*state["resumed_at"], self.step]
        with torch.no_grad():
            for name, value in state["weights"].items():
                self.weights[name].copy_(value)
        for name, (optimizer, _) in self.optimizers.items():
            optimizer.load_state_dict(state[name])

    def learn(self, ids: Tensor, targets: Tensor, progress: float) -> float:
        """One step; the loss before it, nats per token."""
        loss = total_loss(self.weights, ids, targets) / targets.numel()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own annotation is missing
        torch.nn.utils.clip_grad_norm_(list(self.weights.values()), 1.0)
        for optimizer, peak in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = peak * rate(progress)
            optimizer.step()
            optimizer.zero_grad()
        self.step += 1
        return loss.item()


def save_base(out: Path, tokenizer: Tokenizer, weights: Weights, record: dict[str, Any]) -> None:
    """Write the folder that ships in the package."""
    out.mkdir(parents=True, exist_ok=True)
    end = tokenizer.token_to_id(END)
    config = {
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "activation_function": "gelu_new",
        "vocab_size": tokenizer.get_vocab_size(),
        "n_positions": CONTEXT, "n_embd": WIDTH, "n_layer": LAYERS, "n_head": HEADS, "bos_token_id": end, "eos_token_id": end,
        "attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0, "layer_norm_epsilon": 1e-5, "tie_word_embeddings": True,
        "dtype": "float16",
    }  # fmt: skip
    tokenizer_config = {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": END, "eos_token": END, "unk_token": END,
        "model_max_length": CONTEXT, "clean_up_tokenization_spaces": False,
    }  # fmt: skip
    tokenizer.save(str(out / "tokenizer.json"))
    for name, content in (("config.json", config), ("tokenizer_config.json", tokenizer_config), ("training.json", record)):
        (out / name).write_text(json.dumps(content, indent=1) + "\n")
    halves = {name: weight.detach().to(torch.float16).contiguous() for name, weight in weights.items()}
    save_file(halves, out / "model.safetensors", metadata={"format": "pt"})
    (out / "model.safetensors").chmod(0o644)


def save_words(out: Path, texts: Iterable[str]) -> None:
    """Write the words that stand in two of the texts: what else nano spells is mostly no word."""
    once: set[str] = set()
    twice: set[str] = set()
    for text in texts:
        found = spelt(text)
        twice |= found & once
        once |= found
    (out / WORDS).write_text("".join(f"{word}\n" for word in sorted(twice)), "utf-8")


def report(**fields: object) -> None:
    """One JSON line on standard output."""
    print(json.dumps(fields), flush=True)


def pretrain(options: argparse.Namespace) -> None:
    """Run the schedule to its end, or to SIGTERM."""
    torch.set_num_threads(options.threads)
    texts = {name: read(options.data, name) for name in SOURCES}
    tokenizer = train_tokenizer(text for train, _ in texts.values() for text in train)
    heldout = {n: (encode(tokenizer, h), sum(len(t.encode()) + 1 for t in h)) for n, (_, h) in texts.items()}
    batches = Batches([(encode(tokenizer, texts[n][0]), turns) for n, turns in SOURCES.items()], options.seed)
    run, steps = Run(options), math.ceil(options.passes * batches.steps_per_pass)
    if options.resume:
        run.load(options.state)
    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stop.append(number))
    report(steps=steps, tokens_per_pass=batches.steps_per_pass * TOKENS_PER_STEP)
    running, last = 0.0, time.monotonic()
    while not stop and (progress := max(run.step / steps, run.spent / (options.minutes * 60))) < 1:
        running += run.learn(*batches[run.step], progress)
        now = time.monotonic()
        run.spent, last = run.spent + now - last, now
        if run.step % 50 == 0:
            speed = round(run.step * TOKENS_PER_STEP / run.spent)
            report(step=run.step, loss=round(running / 50, 4), progress=round(progress, 4), tokens_per_s=speed)
            running = 0.0
        if run.step % 1000 == 0:
            run.history.append([run.step, heldout_losses(run.weights, heldout)["all"]["per_token"]])
            report(heldout=run.history[-1])
            run.save(options.state)
    run.save(options.state)
    if stop:
        report(stopped_at=run.step)
        return
    record = {
        "steps": run.step, "tokens": run.step * TOKENS_PER_STEP, "seconds": round(run.spent), "passes_by_source": SOURCES,
        "rates": {"adamw": options.adamw_rate, "muon": options.muon_rate}, "seed": options.seed, "resumed_at": run.resumed_at,
        "heldout": heldout_losses(run.weights, heldout), "history": run.history,
    }  # fmt: skip
    save_base(options.out, tokenizer, run.weights, record)
    save_words(options.out, (text for train, _ in texts.values() for text in train))
    report(**record)


def main() -> None:
    """Read the options and start again with the allocator's settings if they are missing."""
    parser = argparse.ArgumentParser(description="Pretrain nano, the base that ships in the package.")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/pretrain"))
    parser.add_argument("--out", type=Path, default=Path("bot/lm/nano"))
    parser.add_argument("--state", type=Path, default=Path("data/pretrain-state.pt"), help="where the run is kept for --resume")
    parser.add_argument("--passes", type=float, default=3.0)
    parser.add_argument("--minutes", type=float, default=math.inf, help="end the schedule after this long, if that comes first")
    parser.add_argument("--adamw-rate", type=float, default=3e-3)
    parser.add_argument("--muon-rate", type=float, default=3e-3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    if "GLIBC_TUNABLES" not in os.environ:
        os.environ |= {"GLIBC_TUNABLES": TUNABLES, "OMP_WAIT_POLICY": "PASSIVE"}
        os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606 -- this very script, once more
    pretrain(options)


if __name__ == "__main__":
    main()
