"""`python -m bot.localdiscord --port N`: a World with one server, for other people's bots and clients."""

import argparse
import asyncio
import json
import signal
import sys

from bot.localdiscord.server import serve
from bot.localdiscord.world import World


async def run(port: int) -> None:
    """Serve until SIGINT or SIGTERM. Says where and who in one line of JSON."""
    world = World()
    guild = world.add_guild("Aviary")
    channels = [guild.add_channel(name) for name in ("general", "nest")]
    application = world.add_application("Mynah")
    world.install(application, guild)
    person = world.user("alice")
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serve(world, port=port) as server:
        told = {
            "url": server.url,
            "token": application.token,
            "application_id": str(application.id),
            "guild_id": str(guild.id),
            "channel_ids": {channel.name: str(channel.id) for channel in channels},
            "user_id": str(person.id),
        }
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bot.localdiscord", description="A Discord on loopback.")
    parser.add_argument("--port", type=int, default=0, help="TCP port on 127.0.0.1; 0 takes a free one")
    asyncio.run(run(parser.parse_args().port))


if __name__ == "__main__":
    main()
