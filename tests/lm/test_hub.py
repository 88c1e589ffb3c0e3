"""Pulling from a small server on loopback that speaks as much of the Hub's protocol as a download needs."""

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bot.bases import choose_base, is_pulled
from bot.errors import BadInput, MynahError, NoSpace
from bot.lm.hub import pull

REVISION = "c0ffee" + "0" * 34
WEIGHTS = bytes(range(256)) * 1000
WANTED = {
    "config.json": b'{"model_type": "gpt2"}',
    "tokenizer.json": b"{}",
    "model-00001-of-00002.safetensors": WEIGHTS,
    "model-00002-of-00002.safetensors": WEIGHTS[:1000],
    "model.safetensors.index.json": b"{}",
}
OTHERS = {"pytorch_model.bin": b"pickle", "modeling_evil.py": b"raise SystemExit", "onnx/model.safetensors": b"x", "README.md": b"#"}


class Server:
    """Models by id, each a folder of files."""

    def __init__(self) -> None:
        self.models: dict[str, dict[str, bytes]] = {}
        self.fetched: list[str] = []
        self.broken: set[str] = set()
        self.gated: set[str] = set()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.answer(self, body=True)

            def do_HEAD(self) -> None:
                server.answer(self, body=False)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def answer(self, request: BaseHTTPRequestHandler, *, body: bool) -> None:
        path = urlsplit(request.path).path.strip("/")
        name, _, file = path.removeprefix("api/models/").partition(f"/resolve/{REVISION}/")
        files = self.models.get(name)
        if name in self.gated:
            return self.send(request, 403, b"{}", {"X-Error-Code": "GatedRepo"}, body=body)
        if files is None:
            return self.send(request, 404, b"{}", {"X-Error-Code": "RepoNotFound"}, body=body)
        if not file:
            siblings = [{"rfilename": f, "size": len(content)} for f, content in files.items()]
            return self.send(request, 200, json.dumps({"id": name, "sha": REVISION, "siblings": siblings}).encode(), {}, body=body)
        if file in self.broken:
            # 403 and not 500: that would be tried again for half a minute.
            return self.send(request, 403, b"", {}, body=body)
        if body:
            self.fetched.append(file)
        headers = {"X-Repo-Commit": REVISION, "ETag": f'"{hashlib.sha256(files[file]).hexdigest()}"'}
        return self.send(request, 200, files[file], headers, body=body)

    def send(self, request: BaseHTTPRequestHandler, status: int, content: bytes, headers: dict[str, str], *, body: bool) -> None:
        request.send_response(status)
        for key, value in (headers | {"Content-Length": str(len(content))}).items():
            request.send_header(key, value)
        request.end_headers()
        if body:
            request.wfile.write(content)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever)
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


def nothing(_done: int, _total: int) -> None:
    pass


def test_only_what_is_needed_is_fetched_and_progress_is_told(server: Server, tmp_path: Path) -> None:
    server.models["maker/small-model"] = WANTED | OTHERS
    seen: list[tuple[int, int]] = []
    folder = pull("maker/small-model", tmp_path, lambda *progress: seen.append(progress), endpoint=server.url)
    assert {f.name: f.read_bytes() for f in folder.iterdir()} == WANTED
    assert set(server.fetched) == set(WANTED)
    total = sum(map(len, WANTED.values()))
    assert seen[-1] == (total, total)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert choose_base("maker/small-model", tmp_path) == (str(folder), "maker/small-model")


def test_what_is_there_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    server.models["gpt2"] = WANTED
    pull("gpt2", tmp_path, nothing, endpoint=server.url)
    server.fetched.clear()
    pull("gpt2", tmp_path, nothing, endpoint=server.url)
    assert server.fetched == []
    assert choose_base("auto", tmp_path)[1] == "gpt2"


@pytest.mark.fault(28)
def test_pickles_are_refused_before_anything_is_fetched(server: Server, tmp_path: Path) -> None:
    """A base that has its weights only as a pickle is refused before anything is fetched."""
    server.models["gpt2"] = {"config.json": WANTED["config.json"]} | OTHERS
    with pytest.raises(BadInput, match="no weights as safetensors"):
        pull("gpt2", tmp_path, nothing, endpoint=server.url)
    assert server.fetched == []
    assert not is_pulled("gpt2", tmp_path)


def test_code_of_its_own_is_refused(server: Server, tmp_path: Path) -> None:
    server.models["gpt2"] = WANTED | {"config.json": b'{"model_type": "x", "auto_map": {"AutoModel": "evil.Model"}}'}
    with pytest.raises(BadInput, match="program code of its own"):
        pull("gpt2", tmp_path, nothing, endpoint=server.url)
    assert list((tmp_path / "bases").iterdir()) == []


def test_an_unknown_model(server: Server, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no public model 'nobody/nothing'"):
        pull("nobody/nothing", tmp_path, nothing, endpoint=server.url)


def test_a_gated_model(server: Server, tmp_path: Path) -> None:
    server.gated.add("maker/gated")
    with pytest.raises(BadInput, match="agreed to its terms"):
        pull("maker/gated", tmp_path, nothing, endpoint=server.url)


def test_a_broken_download_counts_as_none_and_is_gone_on_with(server: Server, tmp_path: Path) -> None:
    server.models["gpt2"] = WANTED
    server.broken.add("model-00001-of-00002.safetensors")
    with pytest.raises(MynahError, match="run the command again"):
        pull("gpt2", tmp_path, nothing, endpoint=server.url)
    assert not is_pulled("gpt2", tmp_path)
    server.broken.clear()
    server.fetched.clear()
    pull("gpt2", tmp_path, nothing, endpoint=server.url)
    assert server.fetched == ["model-00001-of-00002.safetensors"]


def test_a_disk_without_room(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.models["gpt2"] = WANTED
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(NoSpace, match="needs 0 MB and the disk has 0 MB left"):
        pull("gpt2", tmp_path, nothing, endpoint=server.url)
    assert server.fetched == []


def test_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(MynahError, match="check the connection"):
        pull("gpt2", tmp_path, nothing, endpoint="http://127.0.0.1:9")
