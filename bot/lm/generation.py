"""Letting characters speak: one resident base, each character's adapter put on for the length of a call."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import DynamicCache

from bot.errors import BadInput
from bot.lm.adapter import Adapter, output_layer
from bot.lm.base import Base
from bot.lm.screening import LONGEST, is_broken
from bot.lm.spelling import Pieces, Spelling, read_alphabet

LONGEST_PROMPT = 200
"""Characters."""
FEWEST_TOKENS = 3
"""A tweet does not end before so many tokens have followed the prompt."""
ROWS = 8
"""Rows computed together, always: with another number the last bits of the logits would differ, and with them, rarely, the text."""


@dataclass(frozen=True)
class _Voice:
    """What is loaded of one character."""

    adapter: Adapter
    spelling: Spelling


class Speaker:
    """Speaks as any character trained on its base."""

    def __init__(self, base: Base, *, cached: int = 64) -> None:
        """`cached`: how many characters stay in memory."""
        self._base = base
        self._cached = cached
        self._voices: OrderedDict[Path, _Voice] = OrderedDict()
        spelt = base.tokenizer.pieces()
        self._pieces = Pieces(spelt, output_layer(base.model).weight.shape[0])
        self._endings = [base.tokenizer.end, *(i for i, piece in enumerate(spelt) if piece and b"\n" in piece)]

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
        prompt, ids = self._prompt(prompt)
        texts: list[str] = []
        with torch.inference_mode():
            voice = self._voice(Path(model_dir))
            with voice.adapter.applied(self._base.model):
                for at in range(0, len(seeds), ROWS):
                    batch = _Batch(self._base, voice.spelling, self._endings, (prompt, ids), seeds[at : at + ROWS])
                    while not batch.done:
                        chances = batch.chances()
                        batch.take(choices(batch.logits(), chances, temperature=temperature, top_p=top_p, top_k=top_k))
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

    def _voice(self, folder: Path) -> _Voice:
        """The character in this folder, from memory when it spoke lately."""
        voice = self._voices.pop(folder, None)
        if voice is None:
            voice = _Voice(Adapter.load(folder, self._base.device), Spelling(self._pieces, read_alphabet(folder)))
        self._voices[folder] = voice
        while len(self._voices) > self._cached:
            self._voices.popitem(last=False)
        return voice


class _Batch:
    """Some texts on their way, `ROWS` rows wide; rows that are done, or were never asked for, run along unread."""

    def __init__(self, base: Base, spelling: Spelling, endings: list[int], prompt: tuple[str, list[int]], seeds: Sequence[int]) -> None:
        self._base, self._spelling, self._endings = base, spelling, endings
        self._prompt, self._prompt_ids = text, ids = prompt
        self._prompt_length = len(base.tokenizer.decode(ids[1:]))
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._next = torch.tensor([ids] * ROWS, device=base.device)
        self._cache = DynamicCache(config=base.model.config)
        self._taken: list[list[int]] = [[] for _ in seeds]
        self._parts = [b"" for _ in seeds]
        self._open = [True for _ in seeds]
        self.texts = [text for _ in seeds]

    @property
    def done(self) -> bool:
        return not any(self._open)

    def logits(self) -> Tensor:
        """Of the next token, `[rows asked for, vocabulary]`, on the CPU; minus infinity where a token may not come."""
        out = self._base.model(input_ids=self._next, past_key_values=self._cache, use_cache=True)
        logits: Tensor = out.logits[: len(self.texts), -1].float().cpu()
        allowed = torch.stack([self._spelling.allowed(part) for part in self._parts])
        allowed[:, self._endings] = torch.tensor([[not part] for part in self._parts])
        if len(self._taken[0]) < FEWEST_TOKENS:
            allowed[:, self._endings] = False
        return logits.masked_fill(~allowed, -torch.inf)

    def chances(self) -> Tensor:
        """One number in [0, 1) for each row, from its own generator."""
        return torch.cat([torch.rand(1, generator=g) for g in self._generators])

    def take(self, chosen: Tensor) -> None:
        """Append each row's token and see which rows are done."""
        for row, token in enumerate(chosen.tolist()):
            self._taken[row].append(token)
            self._parts[row] = self._spelling.after(self._parts[row], token) or b""
            if self._open[row]:
                self._open[row] = token != self._base.tokenizer.end and self._grow(row)
        padding = [self._base.tokenizer.end] * (ROWS - len(self.texts))
        self._next = torch.tensor([*chosen.tolist(), *padding], device=self._base.device)[:, None]

    def _grow(self, row: int) -> bool:
        """Take the row's new token into its text; False when the text is done."""
        ids = self._prompt_ids[1:] + self._taken[row]
        if not self._parts[row]:
            grown = self._base.tokenizer.decode(ids)[self._prompt_length :]
            self.texts[row] = (self._prompt + grown.split("\n")[0]).strip()
        ended = self._taken[row][-1] in self._endings
        return not ended and len(self.texts[row]) <= LONGEST and len(ids) + 1 < self._base.context


def choices(logits: Tensor, chances: Tensor, *, temperature: float, top_p: float, top_k: int) -> Tensor:
    """For each row the token that its chance in [0, 1) falls on, among the `top_k` likeliest that make up `top_p`."""
    best, ids = torch.topk(logits / temperature, min(top_k, logits.shape[-1]))
    shares = best.double().softmax(-1)
    before = shares.cumsum(-1) - shares
    shares = shares.masked_fill(before >= top_p, 0.0)
    reached = shares.cumsum(-1)
    at = (reached <= chances.double()[:, None] * reached[:, -1:]).sum(-1)
    return ids.gather(-1, at.clamp(max=ids.shape[-1] - 1)[:, None])[:, 0]
