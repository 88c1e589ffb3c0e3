"""Letting characters speak: texts of many characters on their way together, over one resident base.

What is wanted at once is a telling. Tellings share the rows of the decoder fairly: whoever has the fewest rows is served next, and nobody
has them all.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bot.errors import BadInput
from bot.lm.arithmetic import Array
from bot.lm.company import Row
from bot.lm.decoder import SLOTS, Decoder, Opening, likelihoods, log_sums
from bot.lm.resident import Resident
from bot.lm.sampling import Manner, choices, manner_of, penalise
from bot.lm.screening import LONGEST, is_broken
from bot.lm.spelling import Pieces
from bot.lm.voices import Voice, Voices

LONGEST_PROMPT = 200
"""Characters."""
FEWEST_TOKENS = 3
"""A tweet does not end before so many tokens have followed the prompt."""
MOST_ROWS = SLOTS * 3 // 4
"""Of one telling; the rest is for whoever comes next."""
REDRAWS = 8
"""Times that a token is drawn again whose word there is not, before one is drawn from those that are known to fit."""
_FEW_TOKENS = 10
"""Added to a text's length when it is scored, so that a few lucky tokens do not win."""


@dataclass(frozen=True)
class Draft:
    """A raw text. It may be no good: see `bot.lm.screening`."""

    text: str
    ids: tuple[int, ...]
    """Its tokens, from the start token on."""
    prompted: int
    """How many of them were given."""
    likelihood: float | None
    """How likely the character found what it wrote, in nats; None when nobody asked."""


@dataclass(frozen=True)
class _Prompt:
    text: str
    ids: list[int]
    length: int
    """Characters of the decoded prompt."""


class Telling:
    """Texts wanted at once from one character."""

    def __init__(self, voice: Voice, prompt: _Prompt, seeds: Sequence[int], manner: Manner, *, judged: bool) -> None:
        self.voice, self.prompt, self.manner, self.judged = voice, prompt, manner, judged
        self._chances = [random.Random(seed) for seed in seeds]  # noqa: S311  # nothing to be kept from anybody
        self.drafts: list[Draft | None] = [None] * len(seeds)
        self.begun = 0
        """How many texts have begun."""
        self.running = 0
        self.dropped = False

    @property
    def done(self) -> bool:
        """Whether nothing is left to be said."""
        return None not in self.drafts

    @property
    def waiting(self) -> int:
        """How many texts have not begun."""
        return 0 if self.dropped else len(self.drafts) - self.begun

    @property
    def told(self) -> list[Draft]:
        """The drafts, in the order of their seeds."""
        return [draft for draft in self.drafts if draft is not None]

    def begin(self, row: Row) -> "_Text":
        """The next text begins."""
        number, self.begun, self.running = self.begun, self.begun + 1, self.running + 1
        return _Text(self, number, row, self._chances[number])


class _Text:
    """One text on its way."""

    def __init__(self, telling: Telling, number: int, row: Row, chances: random.Random) -> None:
        self.telling, self.number, self.row, self._chances = telling, number, row, chances
        self.taken: list[int] = []
        self.part = b""
        """The bytes of an unfinished character."""
        self._whole = 0
        """Tokens up to the last finished character."""
        self._word = telling.voice.wording.begun(telling.prompt.text) if telling.voice.wording else ""
        """What is unfinished, for the wording."""
        self.characters = len(telling.prompt.text)
        """About as many as the text has."""
        self._likelihood = 0.0 if telling.judged else None

    def chance(self) -> float:
        """A number in [0, 1)."""
        return self._chances.random()

    def bar(self, logits: Array, endings: NDArray[np.int64]) -> None:
        """Minus infinity where a token may not come; one row's logits."""
        voice = self.telling.voice
        if self.part:
            np.copyto(logits, -np.inf, where=~voice.spelling.allowed(self.part))
        else:
            np.copyto(logits, -np.inf, where=voice.at_start)
            if len(self.taken) < FEWEST_TOKENS:
                logits[endings] = -np.inf

    def fits(self, token: int, endings: frozenset[int]) -> bool:
        """Whether the word that it goes on or ends is one that there is."""
        wording = self.telling.voice.wording
        if wording is None:
            return True
        if token in endings:
            return wording.is_whole(self._word)
        text, part = self._read(token)
        ways = self.telling.voice.spelling.finished(part) if part else [""]
        return any(wording.after(self._word, text + way) is not None for way in ways)

    def fitting(self, endings: NDArray[np.int64]) -> list[int]:
        """Tokens that go on with the unfinished word, or end it."""
        wording, spelling = self.telling.voice.wording, self.telling.voice.spelling
        if wording is None or self.part:
            return []
        ending = [*wording.closing(spelling.pieces), *endings] if wording.is_whole(self._word) else []
        return [*spelling.tokens(wording.endings(self._word)), *ending]

    def take(self, token: int, likelihood: float | None) -> None:
        """Append a token."""
        voice = self.telling.voice
        self.taken.append(token)
        self.row.token = token
        text, part = self._read(token)
        if voice.wording is not None:
            self._word = voice.wording.after(self._word, text) or ""
        self.part = part
        self.characters += voice.spelling.characters(token)
        if not self.part:
            self._whole = len(self.taken)
        if likelihood is not None and self._likelihood is not None:
            self._likelihood += likelihood

    def _read(self, token: int) -> tuple[str, bytes]:
        """The characters that this token finishes, and what it leaves unfinished."""
        spelling = self.telling.voice.spelling
        part = spelling.after(self.part, token) or b""
        spelt = self.part + (spelling.pieces[token] or b"")
        return spelt[: len(spelt) - len(part)].decode(errors="replace"), part

    def draft(self, text: str) -> Draft:
        """What has come of it."""
        prompted = self.telling.prompt.ids
        return Draft(text, (*prompted, *self.taken), len(prompted), self._likelihood)

    @property
    def whole(self) -> list[int]:
        """The tokens up to the last finished character."""
        return self.taken[: self._whole]


class Speaker:
    """Speaks as any character trained on its base."""

    def __init__(self, base: Resident[Any], *, cached: int = 64) -> None:
        """`cached`: how many characters stay in memory."""
        self._base = base
        pieces = Pieces(base.tokenizer.pieces(), base.network.shape.vocabulary)
        endings = [base.tokenizer.end, *(i for i, piece in enumerate(pieces.spelt) if piece and b"\n" in piece)]
        self._endings, self._ending = np.array(endings), frozenset(endings)
        self._voices = Voices(base.name, pieces, endings, cached=cached)
        self._decoder = Decoder(base)
        self._manner = manner_of(base.parameters)
        self._tellings: list[Telling] = []
        self._texts: dict[Row, _Text] = {}

    def say(
        self,
        model_dir: Path | str,
        prompt: str,
        seeds: Sequence[int],
        *,
        temperature: float = 1.0,
        top_p: float = 0.95,
        top_k: int = 50,
        min_p: float | None = None,
        repetition_penalty: float = 1.0,
    ) -> list[str]:
        """One raw text for each seed; each begins with the prompt (white space in it made single) and depends on its own seed alone.

        A raw text may be no good: see `bot.lm.screening`. A text that grows past 280 characters is left there, unfinished.
        `min_p`: None = what suits the base.

        Raises:
            BadInput: the prompt is too long, or has control characters.
        """
        least = self._manner.min_p if min_p is None else min_p
        telling = self.begin(model_dir, prompt, seeds, Manner(repetition_penalty, temperature, top_k, top_p, least))
        while not telling.done:
            self.step()
        return [draft.text for draft in telling.told]

    def begin(
        self, model_dir: Path | str, prompt: str, seeds: Sequence[int], manner: Manner | None = None, *, judged: bool = False
    ) -> Telling:
        """Want texts; `step` makes them. `judged`: their likelihood is wanted too.

        Raises:
            BadInput: the prompt is too long, or has control characters.
        """
        read = self._prompt(prompt)
        telling = Telling(self._voices.get(Path(model_dir)), read, seeds, manner or self._manner, judged=judged)
        self._tellings.append(telling)
        return telling

    def drop(self, telling: Telling) -> None:
        """Nobody wants it any more."""
        telling.dropped = True
        for row, text in list(self._texts.items()):
            if text.telling is telling:
                self._end(row)
        self._tellings = [t for t in self._tellings if t is not telling]

    @property
    def busy(self) -> bool:
        """Whether `step` has anything to do."""
        return bool(self._tellings)

    def step(self) -> None:
        """One token more for every text on its way; who waits for a row may get one."""
        self._tellings = [t for t in self._tellings if not t.done]
        self._admit()
        if not self._texts:
            return
        rows, logits = self._decoder.step()
        texts = [self._texts[row] for row in rows]
        sums = log_sums(logits) if any(t.telling.judged for t in texts) else None
        raw = logits if sums is None else logits.copy()
        for text, line in zip(texts, logits, strict=True):
            penalise(line, [*text.telling.prompt.ids, *text.taken], text.telling.manner.repetition_penalty)
            text.bar(line, self._endings)
        chosen = self._choose(texts, logits)
        found = None if sums is None else (raw[range(len(chosen)), chosen] - sums).tolist()
        for at, (text, token) in enumerate(zip(texts, chosen.tolist(), strict=True)):
            text.take(token, None if found is None else found[at])
            if self._is_done(text):
                self._finish(text)

    def scores(self, drafts: Sequence[Draft]) -> list[float]:
        """How much likelier the character finds each text than the base does: nats per token, a little less for short ones."""
        known = likelihoods(self._base, [(list(draft.ids), draft.prompted) for draft in drafts])
        return [
            ((draft.likelihood or 0.0) - base) / (len(draft.ids) - draft.prompted + _FEW_TOKENS)
            for draft, base in zip(drafts, known, strict=True)
        ]

    def _choose(self, texts: list[_Text], logits: Array) -> NDArray[np.int64]:
        chances = np.array([text.chance() for text in texts])
        chosen = self._drawn(texts, logits, chances)
        for at, text in enumerate(texts):
            if not text.fits(int(chosen[at]), self._ending):
                chosen[at] = self._drawn_again(text, logits[at : at + 1], int(chosen[at]))
        return chosen

    def _drawn(self, texts: list[_Text], logits: Array, chances: NDArray[np.float64]) -> NDArray[np.int64]:
        manners = [text.telling.manner for text in texts]
        if manners.count(manners[0]) == len(manners):
            return choices(logits, chances, manners[0])
        chosen = np.empty(len(texts), dtype=np.int64)
        for manner in set(manners):
            mine = np.array([m == manner for m in manners])
            chosen[mine] = choices(logits[mine], chances[mine], manner)
        return chosen

    def _drawn_again(self, text: _Text, logits: Array, token: int) -> int:
        """A token that fits for a row's `[1, vocabulary]`, in place of this one; the last one drawn where none is found."""
        for left in range(REDRAWS, -1, -1):
            logits[0, token] = -np.inf
            if not left:
                logits[0, np.isin(np.arange(logits.shape[1]), text.fitting(self._endings), invert=True)] = -np.inf
            if not np.isfinite(logits).any():
                break
            token = int(choices(logits, np.array([text.chance()]), text.telling.manner)[0])
            if text.fits(token, self._ending):
                break
        return token

    def _admit(self) -> None:
        """Give away free rows, each to the telling that has the fewest."""
        granted: dict[int, int] = {}
        for _ in range(self._decoder.free):
            able = [
                (t.running + granted.get(at, 0), at)
                for at, t in enumerate(self._tellings)
                if t.waiting > granted.get(at, 0) and t.running + granted.get(at, 0) < MOST_ROWS
            ]
            if not able:
                break
            at = min(able)[1]
            granted[at] = granted.get(at, 0) + 1
        begun = [(self._tellings[at], count) for at, count in granted.items()]
        joined = self._decoder.join([Opening(telling.voice, telling.prompt.ids, count) for telling, count in begun])
        for (telling, _), rows in zip(begun, joined, strict=True):
            self._texts |= {row: telling.begin(row) for row in rows}

    def _is_done(self, text: _Text) -> bool:
        """Whether it has ended, has no room left, or has grown too long."""
        if text.taken[-1] in self._ending or len(text.telling.prompt.ids) + len(text.taken) >= self._base.context:
            return True
        return text.characters > LONGEST and len(self._read(text)) > LONGEST

    def _read(self, text: _Text) -> str:
        prompt = text.telling.prompt
        grown = self._base.tokenizer.decode(prompt.ids[1:] + text.whole)[prompt.length :]
        return (prompt.text + grown.split("\n")[0]).strip()

    def _finish(self, text: _Text) -> None:
        text.telling.drafts[text.number] = text.draft(self._read(text))
        self._end(text.row)

    def _end(self, row: Row) -> None:
        self._texts.pop(row).telling.running -= 1
        self._decoder.leave(row)

    def _prompt(self, prompt: str) -> _Prompt:
        prompt = " ".join(prompt.split())
        if len(prompt) > LONGEST_PROMPT:
            raise BadInput(f"The prompt has {len(prompt)} characters; at most {LONGEST_PROMPT} are allowed.")
        if is_broken(prompt):
            raise BadInput("The prompt has control or other unprintable characters; type it again without them.")
        ids = [self._base.tokenizer.start, *self._base.tokenizer.encode(prompt)]
        longest = self._base.context // 2
        if len(ids) > longest:
            raise BadInput(f"The prompt is {len(ids)} tokens long for {self._base.name}, which takes at most {longest}; shorten it.")
        return _Prompt(prompt, ids, len(self._base.tokenizer.decode(ids[1:])))
