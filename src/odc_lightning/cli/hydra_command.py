"""The entry point of a command: `hydra.main` with flags anywhere and errors in one line."""

import functools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module

import hydra
from hydra.errors import HydraException, InstantiationException
from omegaconf import DictConfig

from odc_lightning.cli.hydra_errors import in_one_line
from odc_lightning.cli.refusals import module_of, refusal
from odc_lightning.cli.words import for_hydra
from odc_lightning.config import CONFIG_DIR
from odc_lightning.utils.text import error_text, first_line


def hydra_command(
    name: str, choose: Callable[[list[str]], list[str]] = list
) -> Callable[[Callable[[DictConfig], None]], Callable[[], None]]:
    """Make a function of a config the entry point of a command, as `hydra.main` does.

    Flags and settings may be in any order, and Hydra's errors are reported in one line, without a
    traceback (exit code 1; 2 for an unknown flag).

    Args:
        name: of the config.
        choose: replaces words of the command line by others, before Hydra reads them.
    """

    def decorate(function: Callable[[DictConfig], None]) -> Callable[[], None]:
        start = hydra.main(version_base="1.3", config_path=CONFIG_DIR, config_name=name)(function)

        @functools.wraps(function)
        def main() -> None:
            try:
                sys.argv[1:] = choose(for_hydra(sys.argv[1:]))
            except ValueError as error:
                print(error_text(error), file=sys.stderr)
                sys.exit(2)
            try:
                with _hydra_raises_errors():
                    start()
            except Exception as error:
                message = _message(error, name)
                if "HYDRA_FULL_ERROR" in os.environ or message is None:
                    raise
                sys.exit(error_text(message))

        return main

    return decorate


@contextmanager
def _hydra_raises_errors() -> Iterator[None]:
    """Let Hydra raise its errors, which it would print over several lines before it exits.

    Hydra has no public way to do so: ``HYDRA_FULL_ERROR`` would pass to all child processes. A
    version of Hydra without this private function prints its errors itself.
    """
    try:
        private = import_module("hydra._internal.utils")
    except ImportError:
        private = None
    report = getattr(private, "run_and_report", None)
    if report is None:
        yield
        return
    private.run_and_report = lambda function: function()  # type: ignore[union-attr]
    try:
        yield
    finally:
        private.run_and_report = report  # type: ignore[union-attr]


def _message(error: Exception, name: str) -> str | None:
    """The one line about an error, or None if it is a bug."""
    if isinstance(error, HydraException) and not isinstance(error, InstantiationException):
        return in_one_line(error, name, sys.argv[1:])
    if isinstance(error, ValueError) and module_of(error).startswith("hydra."):
        return first_line(error)  # flags that exclude each other
    return refusal(error)
