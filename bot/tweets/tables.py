"""CSV: any delimiter, with a header that names the text, or one column of nothing but texts."""

import ast
import csv
import re
from collections.abc import Iterator
from itertools import chain

from bot.errors import BadInput
from bot.tweets.reading import Stream, lines
from bot.tweets.records import TEXT_FIELDS, Record

_DELIMITERS = (",", ";", "\t", "|")
# What a Python script wrote that encoded the text before it wrote it.
_BYTES_LITERAL = re.compile(r"""b'[^\n]*'|b"[^\n]*\"""")


def find_delimiter(header: str) -> str | None:
    """The delimiter with which the first line names a column of texts, or None."""
    for delimiter in _DELIMITERS:
        if any(name in TEXT_FIELDS for name in _names(next(csv.reader([header], delimiter=delimiter), []))):
            return delimiter
    return None


def table_records(stream: Stream) -> Iterator[Record]:
    """The rows of the table.

    Raises:
        BadInput: no column of texts, a broken quotation, a row of another length, or bytes that are no text.
    """
    source = lines(stream)
    header = next(source, "")
    delimiter = find_delimiter(header)
    if delimiter is None:
        yield from _single_column(stream, chain([header], source))
        return
    names = _names(next(csv.reader([header], delimiter=delimiter)))
    reader = csv.reader(source, delimiter=delimiter, strict=True)
    for row in _rows(stream, reader):
        where = f"Line {reader.line_num + 1:,} of {stream.name}"
        if len(row) != len(names):
            columns = f"{len(row)} columns where the first line names {len(names)}"
            raise BadInput(f'{where} has {columns}; quote each text with " and double each " in it.')
        yield where, {name: _decoded(cell) for name, cell in zip(names, row, strict=True)}


def _single_column(stream: Stream, source: Iterator[str]) -> Iterator[Record]:
    reader = csv.reader(source, strict=True)
    for row in _rows(stream, reader):
        if len(row) != 1:
            wanted = ", ".join(TEXT_FIELDS)
            raise BadInput(
                f"{stream.name} names no column of texts: call one of them {wanted} in the first line, or leave a single column."
            )
        yield f"Line {reader.line_num:,} of {stream.name}", {"text": _decoded(row[0])}


def _rows(stream: Stream, reader: Iterator[list[str]]) -> Iterator[list[str]]:
    """The rows that hold anything."""
    try:
        for row in reader:
            if any(row):
                yield row
    except csv.Error as error:
        raise BadInput(f'{stream.name} is no whole CSV file ({error}); quote each text with " and double each " in it.') from error


def _names(row: list[str]) -> list[str]:
    return [cell.strip().lower().replace(" ", "_") for cell in row]


def _decoded(cell: str) -> str:
    if not _BYTES_LITERAL.fullmatch(cell):
        return cell
    try:
        return ast.literal_eval(cell).decode()  # type: ignore[no-any-return]  # a bytes literal
    except (ValueError, SyntaxError):
        return cell
