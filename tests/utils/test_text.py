import os
from pathlib import Path

from odc_lightning.utils.text import first_line, printable, valid_utf8


def test_the_first_line_of_a_message() -> None:
    assert first_line(ValueError("no such layer\nTraceback ...")) == "no such layer"
    assert first_line(ValueError("\n \nno such layer\n")) == "no such layer"


def test_an_error_without_a_message_is_named_by_its_type() -> None:
    assert first_line(KeyboardInterrupt()) == "KeyboardInterrupt"
    assert first_line(ValueError("\n")) == "ValueError"


def test_names_that_are_not_utf8() -> None:
    assert valid_utf8(os.fsdecode(b"caf\xe9/ \xc3\xa9.png")) == r"caf\xe9/ é.png"


def test_a_table_keeps_control_characters_and_a_terminal_does_not_get_them() -> None:
    name = Path(os.fsdecode(b"\x1b[31m\n\xff.png"))
    assert valid_utf8(str(name)) == "\x1b[31m\n\\xff.png"
    assert printable(name) == r"\x1b[31m\n\xff.png"
