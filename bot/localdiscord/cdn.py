"""The CDN: uploaded files and avatars."""

import struct
import zlib

from aiohttp import web

from bot.localdiscord.world import World

DEFAULT_COLOURS = ((88, 101, 242), (116, 127, 141), (59, 165, 93), (250, 166, 26), (237, 66, 69), (235, 69, 158))
"""Of the six default avatars."""


class Cdn:
    """Answers the requests below /cdn."""

    def __init__(self, world: World) -> None:
        self._world = world

    def add_to(self, router: web.UrlDispatcher) -> None:
        router.add_get(r"/cdn/embed/avatars/{index:\d+}.png", self._default_avatar)
        router.add_get("/cdn/avatars/{owner}/{name}", self._avatar)
        router.add_get("/cdn/{path:.+}", self._file)

    async def _default_avatar(self, request: web.Request) -> web.Response:
        colour = DEFAULT_COLOURS[int(request.match_info["index"]) % len(DEFAULT_COLOURS)]
        return web.Response(body=plain_png(colour), content_type="image/png")

    async def _avatar(self, request: web.Request) -> web.Response:
        mark = request.match_info["name"].partition(".")[0]
        return self._found(f"avatars/{request.match_info['owner']}/{mark}")

    async def _file(self, request: web.Request) -> web.Response:
        return self._found(request.match_info["path"])

    def _found(self, path: str) -> web.Response:
        stored = self._world.files.get(path)
        if stored is None:
            return web.Response(status=404, text="")
        data, kind = stored
        return web.Response(body=data, headers={"Content-Type": kind})


def plain_png(colour: tuple[int, int, int], side: int = 64) -> bytes:
    """A square picture of one colour."""
    rows = (b"\0" + bytes(colour) * side) * side
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
