"""What the client of the Jobs API makes of answers, wanted and unwanted."""

import pytest

from bot.executor.rayjobs import NotTaken, RayJob, RayJobs, Submission, Trouble
from tests.executor.cluster import free_port
from tests.executor.fake_head import UNKNOWN, Answer, fake_head

SUBMISSION = Submission("mynah-7-a1-abc", "exec true", entrypoint_num_gpus=1)


async def ask(answer: Answer, token: str | None = None) -> RayJob | None:
    async with fake_head() as head:
        head.get = answer
        jobs = RayJobs(head.address + "/", token)
        try:
            return await jobs.get("mynah-7-a1-abc")
        finally:
            await jobs.close()
            assert head.seen == [("GET", f"Bearer {token}" if token else None)]


@pytest.mark.parametrize("token", ["a-token", None])
async def test_a_job_is_read_and_the_token_goes_along(token: str | None) -> None:
    said = {"status": "FAILED", "message": "gone", "error_type": "X", "driver_exit_code": -9, "type": "SUBMISSION", "new": [1]}
    job = await ask((200, said), token)
    assert job == RayJob("FAILED", "gone", "X", -9)
    assert job.ended


@pytest.mark.parametrize(("status", "ended"), [("PENDING", False), ("RUNNING", False), ("STOPPED", True), ("SUCCEEDED", True)])
async def test_which_states_are_the_end(status: str, ended: bool) -> None:
    job = await ask((200, {"status": status}))
    assert job is not None
    assert job.ended == ended


async def test_only_a_head_that_names_the_job_does_not_know_it() -> None:
    assert await ask(UNKNOWN) is None
    with pytest.raises(Trouble, match="404"):
        await ask((404, "<html>Not Found</html>"))


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((401, "Unauthorized: Missing authentication token"), "refuses RAY_TOKEN"),
        ((403, "Forbidden"), "refuses RAY_TOKEN"),
        ((500, "Traceback\n  File x\nRuntimeError: no agent\n"), "HTTP 500: RuntimeError: no agent"),
        ((502, ""), "HTTP 502: nothing"),
        ((302, "elsewhere"), "HTTP 302"),
        ((200, "<html>Welcome</html>"), "no Ray cluster: see RAY_ADDRESS"),
        ((200, ["status"]), "no Ray cluster"),
        ((200, {"state": "fine"}), "no Ray cluster"),
    ],
)
async def test_anything_else_says_nothing_of_the_job(answer: Answer, sentence: str) -> None:
    with pytest.raises(Trouble, match=sentence):
        await ask(answer)


async def test_no_answer_says_nothing_of_the_job() -> None:
    jobs = RayJobs(f"http://127.0.0.1:{free_port()}", None)
    with pytest.raises(Trouble, match="does not answer"):
        await jobs.get("x")
    with pytest.raises(Trouble, match="does not answer"):
        await jobs.stop("x")
    with pytest.raises(Trouble, match="does not answer"):
        await jobs.submit(SUBMISSION)
    await jobs.close()


async def test_a_submission_is_sent_whole_and_may_be_refused() -> None:
    async with fake_head() as head:
        jobs = RayJobs(head.address, None)
        await jobs.submit(SUBMISSION)
        assert head.submitted == [
            {
                "submission_id": "mynah-7-a1-abc",
                "entrypoint": "exec true",
                "entrypoint_num_gpus": 1,
                "entrypoint_num_cpus": 0,
                "runtime_env": {},
                "metadata": {},
            }
        ]
        head.submit = (400, "Traceback\nTypeError: no such field\n")
        with pytest.raises(NotTaken, match="does not take the job: TypeError: no such field"):
            await jobs.submit(SUBMISSION)
        head.submit = (500, "already exists")
        with pytest.raises(Trouble):
            await jobs.submit(SUBMISSION)
        await jobs.close()


@pytest.mark.parametrize(("answer", "asked"), [((200, {"stopped": True}), True), ((200, {"stopped": False}), False), (UNKNOWN, False)])
async def test_whether_a_stop_was_heard(answer: Answer, asked: bool) -> None:
    async with fake_head() as head:
        head.stop = answer
        jobs = RayJobs(head.address, None)
        assert await jobs.stop("x") == asked
        await jobs.close()
