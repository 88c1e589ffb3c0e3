"""`python -m bot` is the command `mynah`."""

from bot.cli import main

main()
