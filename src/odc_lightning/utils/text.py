"""Error messages and file names as text for a line, a file or a terminal."""

from pathlib import Path


def first_line(error: BaseException) -> str:
    """The first line of an error's message; the name of its type if it has no message."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def quantity(number: int, noun: str) -> str:
    """A number of things, such as ``1 image`` or ``1,437 images``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def valid_utf8(name: str) -> str:
    """A file's name as valid UTF-8, with ``\\xff`` and the like for invalid bytes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def printable(name: Path | str) -> str:
    """A file's name that is safe on a terminal: `valid_utf8`, with control characters escaped."""
    text = valid_utf8(str(name))
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
