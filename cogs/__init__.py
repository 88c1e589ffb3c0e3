"""Discord comes in: one file per command group, each command parse → one call → render."""
