"""Client of a Ray cluster's Jobs REST API: the four requests that the executor needs, with aiohttp alone.

An answer that is not exactly what was expected says nothing about the job: it is `Trouble`, and the job is as it was.
"""

from dataclasses import dataclass, field
from typing import Any

import aiohttp
from pydantic import TypeAdapter, ValidationError

_TIMEOUT = aiohttp.ClientTimeout(total=20.0, sock_connect=5.0)
_MOST_BYTES = 1 << 20
_LONGEST = 300


class Trouble(Exception):
    """The cluster could not be asked: what it does is unknown. The message is a sentence for a person."""


class NotTaken(Exception):
    """The cluster understood the request and does not do it. The message is a sentence for a person."""


@dataclass(frozen=True)
class RayJob:
    """What the head says of one job; other fields of its answer are passed over."""

    status: str
    """PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED."""
    message: str | None = None
    error_type: str | None = None
    driver_exit_code: int | None = None
    """The worker's, negative for a signal; None where Ray does not know it."""

    @property
    def ended(self) -> bool:
        return self.status in ("STOPPED", "SUCCEEDED", "FAILED")


@dataclass(frozen=True)
class Submission:
    """A job to be run once."""

    submission_id: str
    entrypoint: str
    """A line for the node's shell."""
    entrypoint_num_gpus: float
    entrypoint_num_cpus: float = 0
    runtime_env: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)


_JOB = TypeAdapter(RayJob)
_SUBMISSION = TypeAdapter(Submission)


class RayJobs:
    """One cluster."""

    def __init__(self, address: str, token: str | None) -> None:
        """Build it; nothing is asked yet.

        Args:
            address: the head's, such as http://10.0.0.1:8265.
            token: the cluster's, if it wants one.
        """
        self._address = address.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._session: aiohttp.ClientSession | None = None

    async def get(self, name: str) -> RayJob | None:
        """A job; None when a living head does not know it.

        Raises:
            Trouble: nobody knows.
        """
        status, text = await self._ask("GET", f"/api/jobs/{name}")
        if status == 404 and name in text:  # a proxy's 404 would not name it
            return None
        if status != 200:
            raise self._trouble(status, text)
        try:
            return _JOB.validate_json(text)
        except ValidationError as error:
            raise Trouble(f"What answers at {self._address} is no Ray cluster: see RAY_ADDRESS.") from error

    async def submit(self, submission: Submission) -> None:
        """Have it run.

        Raises:
            NotTaken: it does not run, and never will like this.
            Trouble: it may run, or not.
        """
        status, text = await self._ask("POST", "/api/jobs/", _SUBMISSION.dump_python(submission))
        if status == 400:
            raise NotTaken(f"The Ray cluster at {self._address} does not take the job: {last_line(text)}")
        if status != 200:
            raise self._trouble(status, text)

    async def stop(self, name: str) -> bool:
        """Ask a job to stop; it ends some time later. Whether it was there to be asked.

        Raises:
            Trouble: it may have been asked, or not.
        """
        status, text = await self._ask("POST", f"/api/jobs/{name}/stop")
        if status not in (200, 404):
            raise self._trouble(status, text)
        return '"stopped": true' in text

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _ask(self, method: str, path: str, body: object = None) -> tuple[int, str]:
        self._session = self._session or aiohttp.ClientSession(headers=self._headers, timeout=_TIMEOUT)
        try:
            async with self._session.request(method, self._address + path, json=body, allow_redirects=False) as response:
                return response.status, (await response.content.read(_MOST_BYTES)).decode(errors="replace")
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise Trouble(f"The Ray cluster at {self._address} does not answer ({type(error).__name__}).") from error

    def _trouble(self, status: int, text: str) -> Trouble:
        if status in (401, 403):
            return Trouble(f"The Ray cluster at {self._address} refuses RAY_TOKEN (HTTP {status}).")
        return Trouble(f"The Ray cluster at {self._address} answers HTTP {status}: {last_line(text)}")


def last_line(text: str) -> str:
    """Of a traceback, the error."""
    return next((line.strip()[:_LONGEST] for line in reversed(text.splitlines()) if line.strip()), "nothing")
