"""The sample character: an invented person whose archive the demo and the tests learn from."""

from pathlib import Path

HANDLE = "nettleferry"
NAME = "Ottoline Pike"
ARCHIVE = Path(__file__).with_name("archive.zip")
"""Her tweets in the layout of an X archive, built by scripts/make_sample.py."""
TWEETS = Path(__file__).with_name("tweets.tsv")
"""The same tweets, readable: the truth that the archive is built from."""
