"""Pretrain `nano`, the base that ships in the package, from the text in ../shared/data/pretrain.

Makes `bot/lm/nano/`: `tokenizer.json` (byte-level BPE, 8,192 entries), `config.json` and `model.safetensors` (GPT-2 layout, float16) and
`training.json` (what was done, and the held-out loss by source). Any transformers GPT-2 loader reads the folder.

The loop is plain torch: bf16 autocast, attention by `baddbmm` (its backward is faster on CPU than SDPA's), cross-entropy in chunks so that
the full logits never exist, Muon for the matrices inside the blocks and AdamW for the rest, a trapezoidal schedule over tokens or minutes,
whichever ends first. It stops cleanly on SIGTERM and goes on from its last state with `--resume`.
"""

import argparse
import gzip
import hashlib
import json
import math
import os
import signal
import time
from pathlib import Path

# glibc gives every block above 32 MB back to the kernel at each step; keeping them is 1.5 times as fast. Must be set before the process starts.
TUNABLES = "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=4294967295:glibc.malloc.trim_threshold=17179869184"
END = "<|endoftext|>"
VOCABULARY, WIDTH, HEADS, LAYERS, CONTEXT = 8192, 256, 4, 6, 512
# File → passes over it for each pass of the schedule: prose and talk of today count for more than the fiction that makes up most of the text.
SOURCES = {"pd_fiction_1890_1927_en": 1, "digitalgov_prose_en": 3, "sgd_dialogues_en": 1, "topical_chat_en": 3}
TOKENS_PER_STEP = 4096
CHUNK = 512


def read(folder, name):
    """The documents of one file, split into (training, held-out): about 1 % held out, by the hash of the text."""
    train, heldout = [], []
    with gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            text = json.loads(line)["text"]
            side = heldout if hashlib.sha256(text.encode()).digest()[0] < 3 else train
            side.append(text)
    return train, heldout


def train_tokenizer(texts):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

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


def encode(tokenizer, texts):
    """All texts as one vector of ids, each text led by the end-of-text token."""
    import torch

    end = tokenizer.token_to_id(END)
    return torch.tensor([i for e in tokenizer.encode_batch(texts) for i in (end, *e.ids)], dtype=torch.int32)


def new_weights(generator):
    """GPT-2 weights under transformers' names, initialised as GPT-2 was (residual projections scaled by depth)."""
    import torch

    def normal(*shape, std=0.02):
        return torch.empty(*shape).normal_(0, std, generator=generator).requires_grad_()

    def layer_norm(prefix):
        return {f"{prefix}.weight": torch.ones(WIDTH).requires_grad_(), f"{prefix}.bias": torch.zeros(WIDTH).requires_grad_()}

    def linear(prefix, inputs, outputs, std=0.02):
        return {f"{prefix}.weight": normal(inputs, outputs, std=std), f"{prefix}.bias": torch.zeros(outputs).requires_grad_()}

    weights = {"transformer.wte.weight": normal(VOCABULARY, WIDTH), "transformer.wpe.weight": normal(CONTEXT, WIDTH, std=0.01)}
    for layer in range(LAYERS):
        h = f"transformer.h.{layer}"
        residual = 0.02 / math.sqrt(2 * LAYERS)
        weights |= layer_norm(f"{h}.ln_1") | linear(f"{h}.attn.c_attn", WIDTH, 3 * WIDTH)
        weights |= linear(f"{h}.attn.c_proj", WIDTH, WIDTH, residual) | layer_norm(f"{h}.ln_2")
        weights |= linear(f"{h}.mlp.c_fc", WIDTH, 4 * WIDTH) | linear(f"{h}.mlp.c_proj", 4 * WIDTH, WIDTH, residual)
    return weights | layer_norm("transformer.ln_f")


def hidden_states(weights, ids):
    """Final hidden states `[rows * length, WIDTH]` of token ids `[rows, length]`."""
    import torch
    import torch.nn.functional as F

    rows, length = ids.shape
    mask = torch.full((length, length), -1e4).triu(1)[None]
    x = F.embedding(ids, weights["transformer.wte.weight"]) + weights["transformer.wpe.weight"][:length]

    def norm(x, name):
        return F.layer_norm(x, (WIDTH,), weights[f"{name}.weight"], weights[f"{name}.bias"])

    def linear(x, name):
        return x @ weights[f"{name}.weight"] + weights[f"{name}.bias"]

    for layer in range(LAYERS):
        h = f"transformer.h.{layer}"
        qkv = linear(norm(x, f"{h}.ln_1"), f"{h}.attn.c_attn")
        q, k, v = qkv.view(rows, length, 3, HEADS, -1).permute(2, 0, 3, 1, 4).reshape(3, rows * HEADS, length, -1)
        attention = torch.baddbmm(mask.to(q.dtype), q, k.transpose(1, 2), alpha=q.shape[-1] ** -0.5).softmax(-1).to(v.dtype) @ v
        attention = attention.view(rows, HEADS, length, -1).transpose(1, 2).reshape(rows, length, WIDTH)
        x = x + linear(attention, f"{h}.attn.c_proj")
        x = x + linear(F.gelu(linear(norm(x, f"{h}.ln_2"), f"{h}.mlp.c_fc"), approximate="tanh"), f"{h}.mlp.c_proj")
    return norm(x, "transformer.ln_f").reshape(-1, WIDTH)


def total_loss(weights, ids, targets):
    """Sum of the cross-entropies in nats."""
    import torch
    import torch.nn.functional as F

    with torch.autocast("cpu", dtype=torch.bfloat16):
        x, targets = hidden_states(weights, ids), targets.reshape(-1)
        parts = [
            F.cross_entropy(
                F.linear(x[at : at + CHUNK], weights["transformer.wte.weight"]).float(), targets[at : at + CHUNK], reduction="sum"
            )
            for at in range(0, len(x), CHUNK)
        ]
    return torch.stack(parts).sum()


def heldout_losses(weights, heldout):
    """Source → nats per token and per byte on its held-out documents, in blocks of CONTEXT."""
    import torch

    result = {}
    for name, (ids, size) in heldout.items():
        total, blocks = 0.0, (len(ids) - 1) // CONTEXT
        with torch.no_grad():
            for at in range(0, blocks * CONTEXT, 8 * CONTEXT):
                rows = min(8, blocks - at // CONTEXT)
                block = ids[at : at + rows * CONTEXT + 1].long()
                total += total_loss(weights, block[:-1].view(rows, -1), block[1:].view(rows, -1)).item()
        tokens = blocks * CONTEXT
        result[name] = {"tokens": tokens, "per_token": round(total / tokens, 4), "per_byte": round(total / tokens * len(ids) / size, 4)}
    tokens = sum(r["tokens"] for r in result.values())
    size = sum(r["tokens"] * heldout[n][1] / len(heldout[n][0]) for n, r in result.items())
    nats = sum(r["per_token"] * r["tokens"] for r in result.values())
    return result | {"all": {"tokens": tokens, "per_token": round(nats / tokens, 4), "per_byte": round(nats / size, 4)}}


class Batches:
    """Blocks of the training text in an order that depends on the seed and the pass alone; the step number says where to go on."""

    def __init__(self, parts, seed):
        self.parts, self.seed, self.current = parts, seed, (-1, None)
        self.steps_per_pass = sum(len(ids) * times for ids, times in parts) // TOKENS_PER_STEP

    def stream(self, number):
        import torch

        if self.current[0] != number:
            generator = torch.Generator().manual_seed(self.seed + number)
            blocks = []
            for ids, times in self.parts:
                for _ in range(times):
                    # Each turn through a file starts elsewhere, so that its blocks are cut at other places.
                    start = int(torch.randint(CONTEXT, (1,), generator=generator))
                    count = (len(ids) - start - 1) // CONTEXT
                    blocks.append(torch.stack([ids[start + i * CONTEXT : start + (i + 1) * CONTEXT + 1] for i in range(count)]))
            joined = torch.cat(blocks)
            self.current = (number, joined[torch.randperm(len(joined), generator=generator)])
        return self.current[1]

    def __getitem__(self, step):
        """(ids, targets); three steps of four use half of the context, which is faster."""
        number, at = divmod(step, self.steps_per_pass)
        rows = TOKENS_PER_STEP // CONTEXT
        blocks = self.stream(number)
        start = at * rows % (len(blocks) - rows)
        chosen = blocks[start : start + rows].long()
        ids, targets = chosen[:, :-1], chosen[:, 1:]
        if step % 4:
            return ids.reshape(-1, CONTEXT // 2), targets.reshape(-1, CONTEXT // 2)
        return ids, targets


def rate(progress):
    """Share of the peak learning rate: 1 % warm-up, flat to the middle, linear to 2 %."""
    return min(progress / 0.01, 1.0) if progress < 0.5 else max(0.02, (1 - progress) / 0.5)


def optimizers(weights, adamw_rate, muon_rate):
    import torch

    matrices = [w for n, w in weights.items() if ".h." in n and w.dim() == 2]
    chosen = {id(w) for w in matrices}
    others = [w for w in weights.values() if id(w) not in chosen]
    return {
        "adamw": (torch.optim.AdamW(others, lr=adamw_rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True), adamw_rate),
        "muon": (torch.optim.Muon(matrices, lr=muon_rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"), muon_rate),
    }


def save_base(out, tokenizer, weights, record):
    import torch
    from safetensors.torch import save_file

    out.mkdir(parents=True, exist_ok=True)
    end = tokenizer.token_to_id(END)
    config = {
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "activation_function": "gelu_new", "vocab_size": VOCABULARY,
        "n_positions": CONTEXT, "n_embd": WIDTH, "n_layer": LAYERS, "n_head": HEADS, "bos_token_id": end, "eos_token_id": end,
        "attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0, "layer_norm_epsilon": 1e-5, "tie_word_embeddings": True, "dtype": "float16",
    }  # fmt: skip
    tokenizer_config = {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": END, "eos_token": END, "unk_token": END,
        "model_max_length": CONTEXT, "clean_up_tokenization_spaces": False,
    }  # fmt: skip
    tokenizer.save(str(out / "tokenizer.json"))
    for name, content in (("config.json", config), ("tokenizer_config.json", tokenizer_config), ("training.json", record)):
        (out / name).write_text(json.dumps(content, indent=1) + "\n")
    halves = {n: w.detach().to(torch.float16).contiguous() for n, w in weights.items()}
    save_file(halves, out / "model.safetensors.tmp", metadata={"format": "pt"})
    (out / "model.safetensors.tmp").replace(out / "model.safetensors")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/pretrain"))
    parser.add_argument("--out", type=Path, default=Path("bot/lm/nano"))
    parser.add_argument("--state", type=Path, default=Path("data/pretrain-state.pt"), help="where the run is kept for --resume")
    parser.add_argument("--passes", type=float, default=2.0)
    parser.add_argument("--minutes", type=float, default=math.inf, help="end the schedule after this long, if that comes first")
    parser.add_argument("--adamw-rate", type=float, default=3e-3)
    parser.add_argument("--muon-rate", type=float, default=4e-3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    if "GLIBC_TUNABLES" not in os.environ:
        os.environ |= {"GLIBC_TUNABLES": TUNABLES, "OMP_WAIT_POLICY": "PASSIVE"}
        os.execv(os.sys.executable, [os.sys.executable, *os.sys.argv])
    pretrain(options)


def pretrain(options):
    import torch

    torch.set_num_threads(options.threads)
    texts = {name: read(options.data, name) for name in SOURCES}
    tokenizer = train_tokenizer(text for train, _ in texts.values() for text in train)
    heldout = {n: (encode(tokenizer, h), sum(len(t.encode()) + 1 for t in h)) for n, (_, h) in texts.items()}
    batches = Batches([(encode(tokenizer, texts[n][0]), times) for n, times in SOURCES.items()], options.seed)
    steps = math.ceil(options.passes * batches.steps_per_pass)
    weights = new_weights(torch.Generator().manual_seed(options.seed))
    optimizer = optimizers(weights, options.adamw_rate, options.muon_rate)
    step, spent, history = 0, 0.0, []
    if options.resume:
        state = torch.load(options.state, weights_only=True)
        step, spent, history = state["step"], state["spent"], state["history"]
        with torch.no_grad():
            for name, value in state["weights"].items():
                weights[name].copy_(value)
        for name, (o, _) in optimizer.items():
            o.load_state_dict(state[name])
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))

    def save_state():
        options.state.parent.mkdir(parents=True, exist_ok=True)
        state = {
            "step": step,
            "spent": spent,
            "history": history,
            "weights": weights,
            **{n: o.state_dict() for n, (o, _) in optimizer.items()},
        }
        temporary = options.state.with_suffix(".tmp")
        torch.save(state, temporary)
        temporary.replace(options.state)

    print(json.dumps({"steps": steps, "tokens_per_pass": batches.steps_per_pass * TOKENS_PER_STEP}), flush=True)
    running, last = 0.0, time.monotonic()
    while not stop:
        progress = max(step / steps, spent / (options.minutes * 60))
        if progress >= 1:
            break
        ids, targets = batches[step]
        loss = total_loss(weights, ids, targets) / targets.numel()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(weights.values()), 1.0)
        for o, peak in optimizer.values():
            for group in o.param_groups:
                group["lr"] = peak * rate(progress)
            o.step()
            o.zero_grad()
        step += 1
        running += loss.item()
        now = time.monotonic()
        spent, last = spent + now - last, now
        if step % 50 == 0:
            print(
                json.dumps(
                    {
                        "step": step,
                        "loss": round(running / 50, 4),
                        "progress": round(progress, 4),
                        "tokens_per_s": round(step * TOKENS_PER_STEP / spent),
                    }
                ),
                flush=True,
            )
            running = 0.0
        if step % 1000 == 0:
            history.append([step, heldout_losses(weights, heldout)["all"]["per_token"]])
            print(json.dumps({"heldout": history[-1]}), flush=True)
            save_state()
    save_state()
    if stop:
        print(json.dumps({"stopped_at": step}), flush=True)
        return
    record = {
        "steps": step, "tokens": step * TOKENS_PER_STEP, "seconds": round(spent), "passes_by_source": SOURCES,
        "rates": {"adamw": options.adamw_rate, "muon": options.muon_rate}, "seed": options.seed,
        "heldout": heldout_losses(weights, heldout), "history": history,
    }  # fmt: skip
    save_base(options.out, tokenizer, weights, record)
    print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
