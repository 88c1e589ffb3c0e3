"""SQLite through aiosqlite. Imports nothing of ours."""
