"""CSV: any delimiter, with a header that names the text, or one column of nothing but texts."""

import ast
import csv
import re
from collections.abc import Iterator

from bot.errors import BadInput
from bot.tweets.reading import Part, lines
from bot.tweets.records import TEXT_FIELDS, to_tweet
from bot.tweets.source import Tweet

_DELIMITERS = (",", ";", "\t", "|")
# What a Python script wrote that encoded the text before it wrote it.
_BYTES_LITERAL = re.compile(r"""b'[^\n]*'|b"[^\n]*\"""")


def find_delimiter(header: str) -> str | None:
    """The delimiter with which the first line names a column of texts, or None."""
    for delimiter in _DELIMITERS:
        if any(name in TEXT_FIELDS for name in _names(next(csv.reader([header], delimiter=delimiter), []))):
            return delimiter
    return None


def table_tweets(part: Part) -> Iterator[Tweet]:
    """The tweets of the table, row by row.

    Raises:
        BadInput: no column of texts, a broken quotation, a row without text, or bytes that are no text.
    """
    source = lines(part)
    header = next(source, "")
    delimiter = find_delimiter(header)
    if delimiter is None:
        yield from _single_column(part)
        return
    names = _names(next(csv.reader([header], delimiter=delimiter)))
    reader = csv.reader(source, delimiter=delimiter, strict=True)
    for row in _rows(part, reader):
        where = f"Line {reader.line_num + 1:,} of {part.name}"
        if len(row) != len(names):
            columns = f"{len(row)} columns where the first line names {len(names)}"
            raise BadInput(f'{where} has {columns}. Quote each text with " and double each " in it.')
        yield to_tweet({name: _decoded(cell) for name, cell in zip(names, row, strict=True)}, where)


def _single_column(part: Part) -> Iterator[Tweet]:
    for row in _rows(part, csv.reader(lines(part), strict=True)):
        if len(row) != 1:
            wanted = ", ".join(TEXT_FIELDS)
            raise BadInput(f"{part.name} names no column of texts: call one of them {wanted} in the first line, or leave a single column.")
        yield to_tweet({"text": _decoded(row[0])}, part.name)


def _rows(part: Part, reader: Iterator[list[str]]) -> Iterator[list[str]]:
    """The rows that hold anything."""
    try:
        for row in reader:
            if any(row):
                yield row
    except csv.Error as error:
        raise BadInput(f'{part.name} is no whole CSV file ({error}). Quote each text with " and double each " in it.') from error


def _names(row: list[str]) -> list[str]:
    return [cell.strip().lower().replace(" ", "_") for cell in row]


def _decoded(cell: str) -> str:
    if not _BYTES_LITERAL.fullmatch(cell):
        return cell
    try:
        return ast.literal_eval(cell).decode()  # type: ignore[no-any-return]  # a bytes literal
    except (ValueError, SyntaxError):
        return cell
