"""Text in: reading a person's tweets from files and cleaning them. Knows no Discord, no torch and no SQL."""
