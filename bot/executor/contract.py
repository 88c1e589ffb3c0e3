"""What an executor promises, and the files that pass between the bot and a worker.

One job is one folder, one attempt at it is one folder inside:

    jobs/<job>/fence            the newest attempt's number; a worker whose own number is smaller stops with FENCED
    jobs/<job>/checkpoints/     belongs to the job, so that the next attempt can go on
    jobs/<job>/a<n>/spec.json   in: what to do (TrainSpec)
    …/progress.jsonl            out: one Progress per line, appended while the worker runs
    …/worker.log                out: its standard output and error
    …/model/                    out: what training made
    …/corpus.jsonl              out: the raw tweets as they were read, one JSON object per line with the handle of whose they are
    …/result.json               out, last: Result. Its presence and content are the truth of the attempt, not the exit code

`files.py` and `fence.py` read and write them, on both sides. The worker is started with the attempt's folder as its only argument.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from bot.tweets.cleaning import Counts
from bot.tweets.dataset import Part

OK = 0
FAILED = 1
REFUSED = 65
"""The input cannot be used (`result.json` has the sentence): trying again cannot help."""
NO_SPACE = 75
FENCED = 76
PREEMPTED = 143
"""Asked to stop (SIGTERM), and a checkpoint was saved."""

Preset = Literal["default", "fast"]
"""`fast` trains the top layers only, where the base knows the language: sooner done, and a little less like the character."""
Stage = Literal["fetching", "starting", "reading", "loading", "training", "evaluating", "saving"]
"""`fetching` is the bot's, before the worker starts; the others are the worker's."""


@dataclass(frozen=True)
class SpecSource:
    """Where the worker finds one account's tweets, and who says that they may be used."""

    handle: str
    """Whose, as they were asked for: normalised, no @, lower case."""
    path: str
    """Absolute: archive zip, tweets.js, JSON lines, CSV or text."""
    file_name: str
    """What messages call it."""
    basis: str
    """What entitles to it: `own`, `agreed`, `public` or `operator`. With `own` a file that names another account is refused."""


@dataclass(frozen=True)
class TrainSpec:
    """`spec.json`: one training attempt. Paths are absolute."""

    job: int
    attempt: int
    handle: str
    """Of the character: the account's, or for a mash-up all of them with + between."""
    sources: tuple[SpecSource, ...]
    """One, or two or three for a mash-up, in the order of the character's handle."""
    base: str
    """`nano`, or the folder of a causal language model."""
    base_name: str
    """The base as people call it: `nano`, `gpt2`, `HuggingFaceTB/SmolLM2-135M`."""
    seed: int
    recipe: dict[str, Any] = field(default_factory=dict)
    """Fields of `bot.lm.recipe.Recipe` that differ from the default for this base and corpus."""
    threads: int | None = None
    """CPU threads, or None for all that the process may use."""
    others: tuple[str, ...] = ()
    """Files of what other models were taught (`dataset.jsonl`): the new one's author must be told from theirs. Eight are plenty."""
    blocked: tuple[str, ...] = ()
    """Words that no sample may have."""
    preset: Preset = "default"
    opted_out: tuple[str, ...] = ()
    """Digests of the handles that nobody may train on: a file that names one of them is refused, whatever it was said to be."""
    salts: tuple[str, ...] = ()
    """With which the digests were made, each with one of them."""
    multilingual: tuple[str, str] | None = None
    """`base` and `base_name` to take instead when the tweets are not English."""


@dataclass(frozen=True)
class Progress:
    """One line of `progress.jsonl`."""

    stage: Stage
    fraction: float
    """Of the whole job, 0 to 1, never falling within an attempt."""
    eta_s: float | None = None
    """Seconds left, once that can be told."""
    loss: float | None = None
    """Newest training loss, nats per token."""
    heldout_loss: float | None = None
    """Newest held-out loss, nats per token."""
    note: str | None = None
    """A sentence the person should read, such as the warning about little text."""


@dataclass(frozen=True)
class Result:
    """`result.json`. Either `error` is set, or everything else is."""

    error: str | None = None
    """The sentence for the person."""
    kind: str | None = None
    """Name of the error's class in `bot.errors`."""
    counts: Counts | None = None
    """Of all accounts together."""
    parts: tuple[Part, ...] = ()
    """The same of each account."""
    language: str | None = None
    """ISO 639 code of the language that most of the texts are in; None where that is not plain, or differs between accounts."""
    profile_handle: str | None = None
    """As the file names it; None for a mash-up."""
    profile_name: str | None = None
    """Display name; of a mash-up `A & B`."""
    first_tweet_at: str | None = None
    """ISO 8601, UTC."""
    last_tweet_at: str | None = None
    warning: str | None = None
    base: str | None = None
    """What it was trained on: the spec's base, or its base for other languages."""
    base_name: str | None = None
    recipe: dict[str, Any] = field(default_factory=dict)
    heldout_base: float | None = None
    """Held-out loss of the base, nats per token."""
    heldout_model: float | None = None
    steps: int | None = None
    seconds: float | None = None
    dataset_sha256: str | None = None
    evaluation: dict[str, float] = field(default_factory=dict)
    """Fields of `bot.lm.verdict.Evaluation`."""
    samples: tuple[str, ...] = ()
    """Screened texts to show when training is done."""
    files: dict[str, str] = field(default_factory=dict)
    """File in `model/` → SHA-256 of its content."""


@dataclass(frozen=True)
class Attempt:
    """One try at a job."""

    job: int
    number: int
    folder: Path

    @property
    def name(self) -> str:
        """The same on every executor; starting twice under one name is one worker."""
        return f"{self.job}-a{self.number}"


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended."""

    state: Literal[
        "succeeded", "failed", "refused", "cancelled", "preempted", "no_space", "unavailable", "fenced", "killed", "lost", "detached"
    ]
    """`failed`, `killed` (by signal 9, which was none of ours) and `lost` may be tried again, `refused` may not. `unavailable`: it could
    not begin where it should, and waits. `detached`: it has not ended, but the bot does."""
    result: Result | None
    reason: str | None = None
    """For the log and, when no attempt is left, for the person."""


class Executor(Protocol):
    """Runs one attempt of a job somewhere else. Retries are the queue's business."""

    @property
    def outlives(self) -> bool:
        """Whether a worker goes on when the bot stops, to be attached again at the next start."""

    async def start(self, attempt: Attempt) -> None:
        """Start the worker on `attempt.folder`, which holds `spec.json`; does nothing when it runs already or has left a result.

        Raises:
            OSError: no process could be started, or the folder cannot be used.
        """

    async def attach(self, attempt: Attempt) -> bool:
        """After a restart of the bot: is it still running, or has it ended with a result?"""

    def events(self, attempt: Attempt) -> AsyncIterator[Progress]:
        """Progress as it comes, ending when the worker has ended. Lossy: a slow reader sees the newest."""

    async def wait(self, attempt: Attempt) -> Outcome:
        """Wait for the end. Any number of callers."""

    async def cancel(self, attempt: Attempt, *, grace_s: float = 20.0, save: bool = False) -> None:
        """Stop the worker and everything it started, and return when it has ended; does nothing when it has ended already.

        With `save` it may first write a checkpoint within the grace period, in seconds; the outcome is then `preempted`, not `cancelled`.
        """

    async def close(self) -> None:
        """Stop every worker, letting each save a checkpoint; leave them alone where they outlive the bot: they end as `detached`."""
