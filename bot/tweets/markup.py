"""Mastodon's HTML as plain text."""

from collections.abc import Iterable

import regex
from bs4 import BeautifulSoup, Tag
from bs4.element import NavigableString
from bs4.exceptions import ParserRejectedMarkup

from bot.tweets.plain import link_text

MAX_MARKS = 3_000
"""Tags of one post, each end counted too. A tree of very many, one in another, would be slow to walk."""

_NOT_SHOWN = "script, style, template, title, .quote-inline"
"""`quote-inline` holds "RE:" and the address of the post that is quoted, for programs that cannot show it."""
_BLOCKS = "p, div, blockquote, pre, ul, ol, h1, h2, h3, h4, h5, h6, hr, table"
_LINES = "li, tr, summary"
_SPACES = regex.compile(r"[ \t\r\n\f]+")
_SHORTCODE = regex.compile(r":[\w@.+-]+:")


def to_text(html: str, *, emoji: Iterable[str] = ()) -> str:
    """The words of a post, with line breaks, and with links as whole addresses.

    `emoji` are the names of the post's own pictures (`blobcat`), which stand in it as `:blobcat:` and are left out. HTML that cannot be
    read, or that has more than MAX_MARKS, has no words.
    """
    if html.count("<") > MAX_MARKS:
        return ""
    try:
        # Within an element, lest the parser takes a short text for an address or a file.
        soup = BeautifulSoup(f"<div>{html}</div>", "html.parser")
    except ParserRejectedMarkup:
        return ""
    _drop_hidden(soup)
    _replace_elements(soup)
    return without_pictures(soup.get_text(), emoji).strip()


def without_pictures(text: str, emoji: Iterable[str]) -> str:
    """Without `:blobcat:` for each of these names."""
    pictures = {f":{name}:" for name in emoji}
    return _SHORTCODE.sub(lambda found: "" if found[0] in pictures else found[0], text) if pictures else text


def _drop_hidden(soup: BeautifulSoup) -> None:
    """What no reader sees: some elements, and all spaces but one."""
    for part in soup.select(_NOT_SHOWN):
        part.decompose()
    for string in soup.find_all(string=True):
        if type(string) is NavigableString:  # and no comment
            string.replace_with(_SPACES.sub(" ", string))


def _replace_elements(soup: BeautifulSoup) -> None:
    """Pictures and links by their texts, and what breaks a line by its line breaks."""
    for picture in soup.find_all("img"):
        alt = str(picture.get("alt") or "")
        picture.replace_with("" if alt.isascii() else alt)
    for link in soup.find_all("a"):
        link.replace_with(_link(link))
    for end in soup.find_all("br"):
        end.replace_with("\n")
    for block in soup.select(_BLOCKS):
        block.insert(0, "\n\n")
        block.append("\n\n")
    for line in soup.select(_LINES):
        line.append("\n")


def _link(link: Tag) -> str:
    """A mention or a hashtag as it is shown; else the address, whose invisible parts are in the text."""
    shown = link.get_text()
    return shown if shown.lstrip().startswith(("@", "#")) else link_text(shown, str(link.get("href") or ""))
