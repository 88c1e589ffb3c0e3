"""The work of the bot without Discord: one file for each kind of work, with what is done and how a person is shown what came of it."""
