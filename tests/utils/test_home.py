from pathlib import Path

import pytest

from odc_lightning.utils.home import expanded


def test_the_home_folder_replaces_its_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    paths = {"~": "/home/me", "~/a": "/home/me/a", "a/~": "a/~", "~nobody x": "~nobody x"}
    for given, path in paths.items():
        assert expanded(given) == expanded(Path(given)) == Path(path)


def test_a_name_of_digits_is_a_path() -> None:
    """A config has it as an integer."""
    assert expanded(2024) == Path("2024")


@pytest.mark.parametrize("value", [True, 1.5, [1], None, {}])
def test_what_is_not_a_path_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="is not a path; expected the name of a file or a folder"):
        expanded(value)  # type: ignore[arg-type]
