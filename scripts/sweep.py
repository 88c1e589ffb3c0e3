"""Search for the recipe: train characters of several accounts and sizes under many settings, and compare their held-out losses.

Each run appends one line of numbers to the results (no text of any tweet); a run that stands there already is skipped, so a sweep can be
stopped and gone on with. `--table` writes the tables into docs/performance.md. Compared are runs on the same account, number of tweets and
seed, so on the same split: a mean of differences, which varies far less than the losses themselves.

Seconds are those of the processor on one thread: other work on the machine counts less than in seconds by the clock, but it counts.
"""

import argparse
import json
import math
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from bot.lm.batches import Row
    from bot.lm.tokenizer import Tokenizer
    from bot.tweets.dataset import Dataset

DATA = Path("../shared/data/characters")
RESULTS = Path("benchmarks/results/sweep.jsonl")
PAGE = Path("docs/performance.md")
MARKS = ("<!-- sweep:begin -->", "<!-- sweep:end -->")
GENERATED = 40
HUGGINGTWEETS = "huggingtweets"


@dataclass(frozen=True)
class Corpus:
    """The newest tweets of an account, split by a seed."""

    account: str
    tweets: int
    """Kept, so before a tenth is held out."""
    seed: int


@dataclass(frozen=True)
class Arm:
    """One way to train."""

    kind: str
    """`adapter`, `full` (all weights fine-tuned) or `huggingtweets`."""
    settings: tuple[tuple[str, Any], ...] = ()
    """Of an adapter: fields of its recipe that differ from `CENTRE`; of full fine-tuning: rate, batch, epochs."""

    @property
    def name(self) -> str:
        return " ".join([self.kind, *(f"{key}={value}" for key, value in self.settings)])


def adapter(**settings: object) -> Arm:
    return Arm("adapter", tuple(sorted(settings.items())))


def full(**settings: object) -> Arm:
    return Arm("full", tuple(sorted(settings.items())))


CENTRE: dict[str, Any] = {"rank": 64, "embedding_rank": 64, "learning_rate": 2e-3, "bias_rate": 1e-2, "epochs": 3, "batch_tweets": 4}
"""What one factor at a time is varied around."""
FULL = full(rate=5e-4, batch=8, epochs=3)
FACTORS = [
    adapter(),
    adapter(learning_rate=1e-3),
    adapter(epochs=2),
    adapter(embedding_rank=16),
    adapter(rank=16),
    adapter(bias_rate=3e-2),
    adapter(batch_tweets=8),
    adapter(batch_tweets=2),
    adapter(epochs=5),
    adapter(embedding_rank=0),
    adapter(learning_rate=4e-3),
    adapter(first_layer=4, embedding_rank=0),
    adapter(rank=32, embedding_rank=32),
    adapter(bias_rate=3e-3),
]
ALL = ("sensanders", "gobiernodechile", "sixworderbot", "number10gov", "nasa", "everydayhealth", "shiikazuo")
SEEDS = (0, 1, 2)
EVERY = [Corpus(account, 300, 0) for account in ALL]
_SOME = (("nasa", 100), ("sixworderbot", 300), ("sensanders", 300))
VARIED = [Corpus(account, tweets, seed) for seed in SEEDS for account, tweets in _SOME]
SMALL = [Corpus(account, 100, seed) for seed in SEEDS for account in ALL]
FOR_SMALL = [adapter(), adapter(learning_rate=4e-3), adapter(epochs=5), adapter(batch_tweets=2), adapter(learning_rate=3e-3)]
LONG = [Corpus("sensanders", 1600, seed) for seed in SEEDS]
WHOLE = [Corpus(account, 3200, 0) for account in ("sensanders", "nasa")]
"""All that X has ever given of an account: 3,200 tweets, of which these two have 2,781 and 2,362 that are their own."""
FOREIGN = [Corpus(account, tweets, 0) for account, most in (("gobiernodechile", 1000), ("shiikazuo", 500)) for tweets in (100, 300, most)]
"""Languages that nano has not read: Spanish, and Japanese."""
FOR_FOREIGN = [adapter(), *(adapter(learning_rate=3e-3, epochs=epochs, patience=4) for epochs in (6, 10))]
FOR_LONG = [adapter(), adapter(epochs=2), adapter(batch_tweets=8), adapter(embedding_rank=0), adapter(learning_rate=1e-3)]


def dataset_of(corpus: Corpus, data: Path) -> "Dataset":
    """The same split as the product makes."""
    from bot.tweets import cleaning, dataset
    from bot.tweets.files import read_source

    _, tweets = read_source(data / f"{corpus.account}.jsonl")
    kept = cleaning.clean(tweets).kept
    return dataset.split(dataset.newest(kept, corpus.tweets), seed=corpus.seed)


class Sweep:
    """Runs arms on corpora, on one base."""

    def __init__(self, base: str, name: str, data: Path, results: Path) -> None:
        self.base, self.name, self.data, self.results = base, name, data, results

    def run(self, corpora: Sequence[Corpus], arms: Sequence[Arm], *, copies: bool) -> None:
        """Do what is not done yet, one arm on all corpora after another."""
        for arm in arms:
            for corpus in corpora:
                row = {"base": self.name, **asdict(corpus), "arm": arm.name}
                if not any(row.items() <= old.items() and (not copies or "copies" in old) for old in read(self.results)):
                    row |= self._measured(corpus, arm, copies=copies)
                    with self.results.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(row) + "\n")
                    print(json.dumps(row), flush=True)

    def _measured(self, corpus: Corpus, arm: Arm, *, copies: bool) -> dict[str, Any]:
        split = dataset_of(corpus, self.data)
        ways: dict[str, Callable[..., dict[str, Any]]] = {
            "adapter": self._adapter,
            "full": self._full,
            HUGGINGTWEETS: self._huggingtweets,
        }
        return ways[arm.kind](split, corpus.seed, dict(arm.settings), copies=copies)

    def _adapter(self, split: "Dataset", seed: int, settings: dict[str, Any], *, copies: bool) -> dict[str, Any]:
        import torch

        from bot.lm import training
        from bot.lm.adapter import Adapter
        from bot.lm.base import load_base
        from bot.lm.export import load_plain, merge

        base = load_base(self.base, name=self.name)
        recipe = training.plan(base, split, CENTRE | settings)
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "model"
            started = time.process_time()
            trained = training.train(
                base,
                split,
                recipe,
                out=out,
                checkpoints=Path(folder) / "checkpoints",
                seed=seed,
                report=lambda _step: None,
                should_stop=lambda: False,
                checkpoint_every_s=math.inf,
            )
            measured: dict[str, Any] = {
                "heldout_base": round(trained.heldout_base, 4),
                "heldout": round(trained.heldout_model, 4),
                "steps": trained.steps,
                "cpu_s": round(time.process_time() - started, 1),
                "mb": round(sum(path.stat().st_size for path in out.glob("*.safetensors")) / 1e6, 2),
            }
            if copies:
                merged = merge(load_plain(_folder(self.base)), Adapter.load(out, torch.device("cpu")))
                measured |= _copies(merged, base.tokenizer, split)
        return measured

    def _huggingtweets(self, split: "Dataset", seed: int, _settings: dict[str, Any], *, copies: bool) -> dict[str, Any]:
        from bot.lm.huggingtweets import train_huggingtweets

        clock = _Stopwatch()
        tuned = train_huggingtweets(self.base, split, seed=seed, report=clock)
        measured: dict[str, Any] = {
            "heldout_base": round(tuned.heldout_base, 4),
            "heldout": round(tuned.heldout_model, 4),
            "steps": len(tuned.losses),
            "cpu_s": round(clock.seconds, 1),
        }
        return measured | (_copies(tuned.model, tuned.tokenizer, split) if copies else {})

    def _full(self, split: "Dataset", seed: int, settings: dict[str, Any], *, copies: bool) -> dict[str, Any]:
        """All weights learn, tweet by tweet, in bfloat16 as far as autocast goes; the best of the looks at the held-out loss counts."""
        import torch

        from bot.lm.base import load_base
        from bot.lm.batches import rows
        from bot.lm.export import load_plain

        base, model = load_base(self.base), load_plain(_folder(self.base))
        taught, heldout = rows(base, split.train), rows(base, split.heldout)
        steps = settings["epochs"] * math.ceil(len(taught) / settings["batch"])
        order, losses, started = random.Random(seed), [_loss(model, heldout)], time.process_time()
        optimizer = torch.optim.AdamW(model.parameters(), lr=settings["rate"], weight_decay=0.0, fused=True)
        step = 0
        for _ in range(settings["epochs"]):
            order.shuffle(taught)
            for at in range(0, len(taught), settings["batch"]):
                step += 1
                for group in optimizer.param_groups:
                    group["lr"] = settings["rate"] * min(1.0, step / (0.03 * steps), 0.5 * (1 + math.cos(math.pi * step / steps)))
                torch.autograd.backward(_batch_loss(model, taught[at : at + settings["batch"]]))
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad()
            losses.append(_loss(model, heldout))
        measured: dict[str, Any] = {
            "heldout_base": round(losses[0], 4),
            "heldout": round(min(losses), 4),
            "steps": steps,
            "cpu_s": round(time.process_time() - started, 1),
        }
        return measured | (_copies(model, base.tokenizer, split) if copies else {})


class _Stopwatch:
    """Processor seconds from the first step to the last, made longer by the first step's share."""

    def __init__(self) -> None:
        self._first, self.seconds = 0.0, 0.0

    def __call__(self, done: int, _steps: int) -> None:
        now = time.process_time()
        self._first = self._first or now
        self.seconds = (now - self._first) * done / max(1, done - 1)


def _folder(base: str) -> Path:
    from bot.bases import NANO, NANO_FOLDER

    return NANO_FOLDER if base == NANO else Path(base)


def _batch_loss(model: "PreTrainedModel", batch: Sequence["Row"]) -> "Tensor":
    """Nats per target."""
    import torch
    from torch.nn import functional

    longest = max(len(row.inputs) for row in batch)
    inputs = torch.tensor([row.inputs + [0] * (longest - len(row.inputs)) for row in batch])
    targets = torch.tensor([row.targets + [-100] * (longest - len(row.targets)) for row in batch])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(input_ids=inputs, use_cache=False).logits
    return functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten())


def _loss(model: "PreTrainedModel", rows: Sequence["Row"]) -> float:
    import torch

    total, count = 0.0, 0
    with torch.no_grad():
        for at in range(0, len(rows), 8):
            batch = rows[at : at + 8]
            targets = sum(target >= 0 for row in batch for target in row.targets)
            total += float(_batch_loss(model, batch)) * targets
            count += targets
    return total / count


def _copies(model: "PreTrainedModel", tokenizer: "Tokenizer", split: "Dataset") -> dict[str, Any]:
    """The share of generated texts that copy a taught tweet."""
    import torch

    from bot.lm.screening import Screen

    screen = Screen([tweet.text for tweet in split.train])
    torch.manual_seed(0)
    start = torch.full((GENERATED, 1), tokenizer.start)
    generate: Any = model.generate  # transformers types it not
    made = generate(start, do_sample=True, top_p=0.95, top_k=50, max_new_tokens=90, eos_token_id=tokenizer.end, pad_token_id=tokenizer.end)
    reasons = [screen.check(tokenizer.decode(row.tolist())).reason for row in made]
    return {"copies": round(reasons.count("copy") / GENERATED, 3)}


def read(results: Path) -> list[dict[str, Any]]:
    """Every run so far."""
    return [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()] if results.is_file() else []


def tables(runs: Sequence[dict[str, Any]]) -> Iterator[str]:
    """One table for each base and size of corpus: each arm against the centre, on the corpora that both were run on."""
    sizes: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for run in runs:
        sizes[run["base"], run["tweets"]].append(run)
    for (base, tweets), found in sorted(sizes.items()):
        by_arm: dict[str, dict[tuple[str, int], dict[str, Any]]] = defaultdict(dict)
        for run in found:
            by_arm[run["arm"]][run["account"], run["seed"]] = run
        centre = by_arm.get("adapter")
        if not centre:
            continue
        yield f"**{base}, {tweets:,} tweets** (`adapter` has {mean(run['heldout'] for run in centre.values()):.3f} nats per token)\n"
        yield "| arm | runs | held-out loss, less that of `adapter` | seconds, × those of `adapter` | copies |"
        yield "| --- | --- | --- | --- | --- |"
        lines = []
        for arm, cells in by_arm.items():
            both = [(run, centre[at]) for at, run in cells.items() if at in centre]
            if both:
                lines.append((mean(run["heldout"] - middle["heldout"] for run, middle in both), arm, both))
        for difference, arm, both in sorted(lines, key=lambda line: line[0]):
            seconds = mean(run["cpu_s"] / middle["cpu_s"] for run, middle in both)
            copied = [run["copies"] for run, _ in both if "copies" in run]
            shown = f"{mean(copied):.1%}" if copied else ""
            yield f"| {arm} | {len(both)} | {difference:+.3f} | {seconds:.2f} | {shown} |"
        yield ""


def write_tables(runs: Sequence[dict[str, Any]], page: Path) -> None:
    """Put the tables between their marks; the rest of the page stays."""
    begin, end = MARKS
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    _, _, after = rest.partition(end)
    page.write_text(f"{before}{begin}\n\n" + "\n".join(tables(runs)) + f"\n{end}{after}", encoding="utf-8")


STAGES: dict[str, tuple[list[Corpus], list[Arm]]] = {
    "rival": (EVERY, [Arm(HUGGINGTWEETS), adapter(), FULL]),
    "factors": (VARIED, FACTORS),
    "small": (SMALL, FOR_SMALL),
    "foreign": (FOREIGN, FOR_FOREIGN),
    "long": (LONG, FOR_LONG),
    "long rival": (LONG[:1], [Arm(HUGGINGTWEETS), FULL]),
    "whole": (WHOLE, [adapter(), adapter(batch_tweets=8), adapter(epochs=2), Arm(HUGGINGTWEETS)]),
}


def main() -> None:
    """Run the stages named, or write the tables."""
    parser = argparse.ArgumentParser(description="Search for the recipe that characters are trained with.")
    parser.add_argument("stages", nargs="*", choices=[*STAGES, []], help="what to run")
    parser.add_argument("--base", default="nano", help="nano, or the folder of a base")
    parser.add_argument("--name", help="what the base is called in the results")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--copies", action="store_true", help="also generate texts and count the copies among them")
    parser.add_argument("--table", action="store_true", help="write the tables into docs/performance.md")
    options = parser.parse_args()
    if options.stages:
        import torch

        torch.set_num_threads(1)
        options.results.parent.mkdir(parents=True, exist_ok=True)
        sweep = Sweep(options.base, options.name or Path(options.base).name, options.data, options.results)
        for stage in options.stages:
            corpora, arms = STAGES[stage]
            sweep.run(corpora, arms, copies=options.copies)
    if options.table:
        write_tables(read(options.results), PAGE)


if __name__ == "__main__":
    main()
