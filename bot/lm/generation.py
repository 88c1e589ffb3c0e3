"""Letting characters speak: one resident base, each character's adapter put on for the length of a call."""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import DynamicCache

from bot.errors import BadInput
from bot.lm.adapter import Adapter
from bot.lm.base import Base
from bot.lm.screening import LONGEST, is_broken

LONGEST_PROMPT = 200
"""Characters."""
FEWEST_TOKENS = 3
"""A tweet does not end before so many tokens have followed the prompt."""
ROWS = 8
"""Rows computed together, always: with another number the last bits of the logits would differ, and with them, rarely, the text."""


class Speaker:
    """Speaks as any character trained on its base."""

    def __init__(self, base: Base, *, cached: int = 64) -> None:
        """`cached`: how many characters' adapters stay in memory."""
        self._base = base
        self._cached = cached
        self._adapters: OrderedDict[Path, Adapter] = OrderedDict()
        self._forbidden = _no_text(base)
        self._endings = _endings(base)

    def say(
        self,
        model_dir: Path | str,
        prompt: str,
        seeds: Sequence[int],
        *,
        temperature: float = 1.0,
        top_p: float = 0.95,
        top_k: int = 50,
    ) -> list[str]:
        """One raw text for each seed; each begins with the prompt (white space in it made single) and depends on its own seed alone.

        A raw text may be no good: see `bot.lm.screening`. A text that grows past 280 characters is left there, unfinished.

        Raises:
            BadInput: the prompt is too long, or has control characters.
        """
        base = self._base
        prompt, ids = self._prompt(prompt)
        with torch.inference_mode(), self._adapter(Path(model_dir)).applied(base.model):
            texts: list[str] = []
            for at in range(0, len(seeds), ROWS):
                batch = _Batch(base, prompt, ids, seeds[at : at + ROWS])
                while not batch.done:
                    logits = batch.logits().masked_fill(self._forbidden, -torch.inf)
                    if batch.length < FEWEST_TOKENS:
                        logits.masked_fill_(self._endings, -torch.inf)
                    batch.take(choices(logits, batch.chances(), temperature=temperature, top_p=top_p, top_k=top_k))
                texts += batch.texts
        return texts

    def _prompt(self, prompt: str) -> tuple[str, list[int]]:
        prompt = " ".join(prompt.split())
        if len(prompt) > LONGEST_PROMPT:
            raise BadInput(f"The prompt has {len(prompt)} characters; at most {LONGEST_PROMPT} are allowed.")
        if is_broken(prompt):
            raise BadInput("The prompt has control or other unprintable characters; type it again without them.")
        ids = [self._base.tokenizer.start, *self._base.tokenizer.encode(prompt)]
        longest = self._base.context // 2
        if len(ids) > longest:
            raise BadInput(f"The prompt is {len(ids)} tokens long for {self._base.name}, which takes at most {longest}; shorten it.")
        return prompt, ids

    def _adapter(self, folder: Path) -> Adapter:
        """The adapter in this folder, from memory when it spoke lately."""
        adapter = self._adapters.pop(folder, None) or Adapter.load(folder, self._base.device)
        self._adapters[folder] = adapter
        while len(self._adapters) > self._cached:
            self._adapters.popitem(last=False)
        return adapter


class _Batch:
    """Some texts on their way, `ROWS` rows wide; rows that are done, or were never asked for, run along unread."""

    def __init__(self, base: Base, prompt: str, ids: list[int], seeds: Sequence[int]) -> None:
        self._base, self._prompt, self._prompt_ids = base, prompt, ids
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._next = torch.tensor([ids] * ROWS, device=base.device)
        self._cache = DynamicCache(config=base.model.config)
        self._taken: list[list[int]] = [[] for _ in seeds]
        self._open = [True for _ in seeds]
        self.texts = [prompt for _ in seeds]

    @property
    def done(self) -> bool:
        return not any(self._open)

    @property
    def length(self) -> int:
        """Tokens after the prompt."""
        return len(self._taken[0])

    def logits(self) -> Tensor:
        """Of the next token, `[rows asked for, vocabulary]`, on the CPU."""
        out = self._base.model(input_ids=self._next, past_key_values=self._cache, use_cache=True)
        logits: Tensor = out.logits[: len(self.texts), -1].float().cpu()
        return logits

    def chances(self) -> Tensor:
        """One number in [0, 1) for each row, from its own generator."""
        return torch.cat([torch.rand(1, generator=g) for g in self._generators])

    def take(self, chosen: Tensor) -> None:
        """Append each row's token and see which rows are done."""
        for row, token in enumerate(chosen.tolist()):
            self._taken[row].append(token)
            if self._open[row]:
                self._open[row] = token != self._base.tokenizer.end and self._grow(row)
        padding = [self._base.tokenizer.end] * (ROWS - len(self.texts))
        self._next = torch.tensor([*chosen.tolist(), *padding], device=self._base.device)[:, None]

    def _grow(self, row: int) -> bool:
        """Take the row's new token into its text; False when the text is done."""
        decode = self._base.tokenizer.decode
        ids = self._prompt_ids[1:] + self._taken[row]
        grown = decode(ids)[len(decode(self._prompt_ids[1:])) :]
        line, *more = grown.split("\n")
        # At its end a text may lack bytes of its last character, which then shows as U+FFFD until they have come.
        self.texts[row] = (self._prompt + line.rstrip("\ufffd")).strip()
        return not more and len(self.texts[row]) <= LONGEST and len(ids) + 1 < self._base.context


def choices(logits: Tensor, chances: Tensor, *, temperature: float, top_p: float, top_k: int) -> Tensor:
    """For each row the token that its chance in [0, 1) falls on, among the `top_k` likeliest that make up `top_p`."""
    best, ids = torch.topk(logits / temperature, min(top_k, logits.shape[-1]))
    shares = best.double().softmax(-1)
    before = shares.cumsum(-1) - shares
    shares = shares.masked_fill(before >= top_p, 0.0)
    reached = shares.cumsum(-1)
    at = (reached <= chances.double()[:, None] * reached[:, -1:]).sum(-1)
    return ids.gather(-1, at.clamp(max=ids.shape[-1] - 1)[:, None])[:, 0]


def _no_text(base: Base) -> Tensor:
    """Marks the ids that are neither text nor the end of one: other special tokens, and rows that only fill up the vocabulary."""
    size = base.model.get_output_embeddings().weight.shape[0]
    forbidden = torch.arange(size) >= base.tokenizer.size
    forbidden[[i for i in base.tokenizer.special if i < size]] = True
    forbidden[base.tokenizer.end] = False
    return forbidden


def _endings(base: Base) -> Tensor:
    """Marks the ids that end a tweet: end-of-text, and every token with a line break."""
    size = base.model.get_output_embeddings().weight.shape[0]
    lines = [i for i in range(min(size, base.tokenizer.size)) if "\n" in base.tokenizer.decode([i])]
    marks = torch.zeros(size, dtype=torch.bool)
    marks[[*lines, base.tokenizer.end]] = True
    return marks
