"""The errors that a person may read.

    MynahError
    ├── BadInput            what was given cannot be used: a handle, a file, a time zone, a cron line
    ├── NotAllowed          a limit or a permission is in the way
    ├── NotFound            no such character, job, schedule
    ├── SourceError         the tweets could not be had
    │   ├── BrokenArchive   damaged, hostile or of no known layout
    │   ├── TooLittleText   fewer kept characters than training needs
    │   ├── Missing         the source has no such account
    │   ├── Protected       its posts are not public
    │   ├── Suspended       the source has closed it
    │   ├── Declined        its owner has declared that no AI may learn from it
    │   ├── NoAccess        the source does not let this bot in: no token, a bad one, or one without the right
    │   ├── Spent           the money or the posts of this month are used up
    │   └── NotNow          the same request may succeed later
    │       ├── RateLimited
    │       └── SourceDown
    ├── TrainingError
    │   └── NoSpace         the disk is full: the job waits, nothing is lost
    ├── GenerationError
    ├── StorageError        the database cannot be opened or written
    └── ConfigError         a setting is missing or wrong

The message is one sentence for the person who reads it: what happened, with the numbers, and what to do next. What only the operator
needs goes to the log.
"""

from datetime import datetime


class MynahError(Exception):
    """Mynah could not do that."""


class BadInput(MynahError):
    """What was given cannot be used."""


class NotAllowed(MynahError):
    """A limit or a permission is in the way."""


class NotFound(MynahError):
    """There is nothing of that name."""


class SourceError(MynahError):
    """The tweets could not be read."""


class BrokenArchive(SourceError):
    """The file is damaged, hostile or of no layout that Mynah knows."""


class TooLittleText(SourceError):
    """Fewer characters were kept than training needs."""


class Missing(SourceError):
    """The source has no such account."""


class Protected(SourceError):
    """The account's posts are not public."""


class Suspended(SourceError):
    """The source has closed the account."""


class Declined(SourceError):
    """The account's owner has declared that no AI may learn from it."""


class NoAccess(SourceError):
    """The source does not let this bot in."""


class Spent(SourceError):
    """The money or the posts of this month are used up."""


class NotNow(SourceError):
    """The same request may succeed later: after `until`, where the source says when."""

    def __init__(self, sentence: str, *, until: datetime | None = None) -> None:
        super().__init__(sentence)
        self.until = until


class RateLimited(NotNow):
    """The source has had enough requests for now."""


class SourceDown(NotNow):
    """The source does not answer as it should."""


class TrainingError(MynahError):
    """Training failed."""


class NoSpace(TrainingError):
    """The disk is full."""


class GenerationError(MynahError):
    """The character could not speak."""


class StorageError(MynahError):
    """The database cannot be opened or written."""


class ConfigError(MynahError):
    """A setting is missing or wrong."""
