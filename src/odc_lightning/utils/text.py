"""Names and messages as text for a line, a file, a terminal or a Markdown document."""

import re
from pathlib import Path


def first_line(error: BaseException) -> str:
    """The first line with text of an error's message; the name of its type if it has none."""
    return next(filter(str.strip, str(error).splitlines()), type(error).__name__)


def quantity(number: int, noun: str) -> str:
    """A number of things, such as ``1 image`` or ``1,437 images``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def valid_utf8(name: str) -> str:
    """A file's name as valid UTF-8, with ``\\xff`` and the like for invalid bytes."""
    try:
        return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON and YAML can hold
        return name.encode("utf-8", "backslashreplace").decode("utf-8")


def printable(name: Path | str) -> str:
    """A name as one line that is safe on a terminal: `valid_utf8`, with control characters escaped.

    Escape sequences, line ends and characters that change the direction of the text are escaped.
    """
    text = valid_utf8(str(name))
    return text if text.isprintable() else "".join(map(_escaped, text))


def printable_lines(message: object) -> str:
    """A message of one or more lines that is safe on a terminal and in a log.

    Like `printable`, but line ends stay. Lines after the first are indented, so no name in the
    message can start a line that looks like a message of its own.
    """
    first, *rest = re.split(r"\r?\n\t*", str(message))
    indented = (line if line.startswith("  ") or not line else f"  {line}" for line in rest)
    return "\n".join(printable(line) for line in (first, *indented))


def error_text(message: object) -> str:
    """The text with which a command reports an error: ``error: ...``, safe on a terminal."""
    return printable_lines(f"error: {message}")


def escape_markdown(name: str) -> str:
    """A name for a line or a table cell of Markdown, with markup and ends of cells escaped."""
    return re.sub(r"([\\|*`<\[\]])", r"\\\1", printable(" ".join(name.split())))


def _escaped(character: str) -> str:
    return character if character.isprintable() else repr(character)[1:-1]
