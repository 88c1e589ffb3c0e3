"""The bot's side of speaking, with a real child process that has no model."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bot.errors import GenerationError
from bot.executor.generator import LONGEST_LINE, Generator
from bot.executor.saying import SayRequest
from tests.executor.scene import ROOT, alive, group, until

WORKER = "tests.executor.fake_speaker"


@pytest.fixture
async def generator(tmp_path: Path) -> AsyncIterator[Generator]:
    made = Generator(tmp_path / "packed", worker=WORKER)
    yield made
    await made.close()


def request(prompt: str, model: Path | str = "") -> SayRequest:
    return SayRequest(str(model), "nano", prompt, None, 1)


async def said(generator: Generator, prompt: str, model: Path | str = "") -> tuple[str, int]:
    """What was said, and by which process."""
    text, _, pid = (await generator.say(request(prompt, model))).posts[0].text.partition("|")
    return text, int(pid)


async def test_one_process_answers_everyone_in_turn(generator: Generator) -> None:
    await generator.start()
    prompts = [f"my name is {n} “ü\u2028”" for n in range(20)]
    answers = await asyncio.gather(*(said(generator, prompt) for prompt in prompts))
    assert [text for text, _ in answers] == prompts
    assert len({pid for _, pid in answers}) == 1


async def test_what_the_process_has_to_say_to_nobody_stands_in_the_log(generator: Generator) -> None:
    with capture_logs() as told:
        assert (await said(generator, "notice"))[0] == "notice"
    assert [line["said"] for line in told] == ["the shelf is full"]


async def test_a_dead_process_is_replaced(generator: Generator) -> None:
    _, first = await said(generator, "hello")
    os.kill(first, signal.SIGKILL)
    text, second = await said(generator, "hello again")
    assert text == "hello again"
    assert second != first


async def test_a_renewed_one_keeps_nothing_and_answers_who_waits(generator: Generator) -> None:
    """After a character was forgotten another process speaks: the one that has it in memory is gone. Nobody's request is lost by it."""
    await generator.renew()  # nothing to renew yet
    _, first = await said(generator, "hello")
    waiting = asyncio.create_task(said(generator, "slow"))
    await asyncio.sleep(0)
    await generator.renew()
    assert not alive(first)
    text, second = await waiting
    assert text == "slow"
    assert second == (await said(generator, "hello again"))[1] != first


async def test_a_request_is_tried_once_more_when_the_process_dies(generator: Generator, tmp_path: Path) -> None:
    assert (await said(generator, "die once", tmp_path / "died"))[0] == "die once"


async def test_a_request_that_kills_twice_is_given_up(generator: Generator) -> None:
    with pytest.raises(GenerationError, match="ended twice"):
        await generator.say(request("die"))
    assert (await said(generator, "hello"))[0] == "hello"


async def test_a_request_that_kills_takes_no_other_with_it(generator: Generator, tmp_path: Path) -> None:
    """One request has begun and another waits behind the killer when the process dies; each of the two has a second try of its own."""
    _, first = await said(generator, "hello")
    begun, killer, behind = await asyncio.gather(
        said(generator, "hold once", tmp_path / "begun"),
        said(generator, "die"),
        said(generator, "behind"),
        return_exceptions=True,
    )
    assert isinstance(killer, GenerationError)
    for answer, prompt in ((begun, "hold once"), (behind, "behind")):
        assert isinstance(answer, tuple), answer
        assert answer[0] == prompt
        assert answer[1] != first


async def test_answers_out_of_order_reach_who_asked(generator: Generator) -> None:
    prompts = [*(f"hold {n}" for n in range(10)), "let go"]
    answers = await asyncio.gather(*(said(generator, prompt) for prompt in prompts))
    assert [text for text, _ in answers] == prompts


async def test_a_process_that_answers_others_is_not_replaced_for_one_that_takes_too_long(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, first = await said(generator, "hello")
    late = asyncio.create_task(said(generator, "hold one"))
    await asyncio.sleep(0)
    generator._timeout_s = 7200
    patient = asyncio.create_task(said(generator, "hold another"))
    assert await said(generator, "meanwhile") == ("meanwhile", first)
    loop = asyncio.get_running_loop()
    clock = loop.time
    monkeypatch.setattr(loop, "time", lambda: clock() + 3600)
    with pytest.raises(GenerationError, match="Nothing was said within"):
        await late
    assert await said(generator, "let go") == ("let go", first)
    assert await patient == ("hold another", first)


async def test_a_request_that_takes_too_long_is_given_up_and_the_process_replaced(generator: Generator) -> None:
    _, first = await said(generator, "hello")
    generator._timeout_s = 0.2
    with pytest.raises(GenerationError, match="Nothing was said within"):
        await generator.say(request("hang"))
    generator._timeout_s = 60
    _, second = await said(generator, "hello")
    assert second != first
    assert not alive(first)


async def test_what_the_process_refuses_is_told(generator: Generator) -> None:
    with pytest.raises(GenerationError, match="The prompt is too long"):
        await generator.say(request("refuse"))


async def test_noise_on_the_line_is_passed_over(generator: Generator) -> None:
    assert (await said(generator, "noise"))[0] == "noise"


async def test_an_answer_that_nobody_waits_for_reaches_nobody_else(generator: Generator) -> None:
    await said(generator, "hello")
    asking = asyncio.create_task(generator.say(request("slow")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asking.cancel()
    assert (await said(generator, "mine"))[0] == "mine"


async def test_the_line_has_an_end(generator: Generator) -> None:
    waiting = [asyncio.create_task(said(generator, "hello")) for _ in range(LONGEST_LINE)]
    await asyncio.sleep(0)
    with pytest.raises(GenerationError, match=f"{LONGEST_LINE} requests"):
        await generator.say(request("one more"))
    assert len(await asyncio.gather(*waiting)) == LONGEST_LINE


async def test_one_seed_per_post(generator: Generator) -> None:
    with pytest.raises(ValueError, match="2 posts"):
        await generator.say(SayRequest("", "nano", "", (1,), 2))


async def test_close_ends_the_process_and_what_waits(generator: Generator) -> None:
    _, pid = await said(generator, "hello")
    hanging = asyncio.create_task(generator.say(request("hang")))
    waiting = asyncio.create_task(generator.say(request("hello")))
    await asyncio.sleep(0)
    await generator.close()
    for task in (hanging, waiting):
        with pytest.raises(GenerationError, match="stopping"):
            await task
    await until(lambda: not alive(pid))


async def test_the_process_does_not_outlive_the_bot(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    bot = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.executor.parent", "speak", str(told), cwd=ROOT)
    try:
        await until(lambda: told.exists() and bool(told.read_text()))
        assert alive(int(told.read_text()))
        bot.kill()
        await until(lambda: not group(int(told.read_text())))
    finally:
        if bot.returncode is None:
            bot.kill()
        await bot.wait()
