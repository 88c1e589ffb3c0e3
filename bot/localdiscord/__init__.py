"""A Discord on loopback, for the demo and the end-to-end tests. Imports nothing of ours."""

from bot.localdiscord.clock import WorldClock
from bot.localdiscord.drafts import Upload as File
from bot.localdiscord.faults import Fault, Harm
from bot.localdiscord.messages import Button, Message
from bot.localdiscord.permissions import Permissions
from bot.localdiscord.person import Choice, Modal, NoReply, NotPossible, Person, Reply
from bot.localdiscord.server import Server, serve
from bot.localdiscord.world import World

__all__ = [
    "Button",
    "Choice",
    "Fault",
    "File",
    "Harm",
    "Message",
    "Modal",
    "NoReply",
    "NotPossible",
    "Permissions",
    "Person",
    "Reply",
    "Server",
    "World",
    "WorldClock",
    "serve",
]
