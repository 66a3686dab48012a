"""Parts that a run can do without: faiss, and pictures and pages."""

import importlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from odc_lightning.utils.text import first_line

log = logging.getLogger(__name__)


def import_faiss() -> Any:
    """The package faiss.

    Raises:
        ImportError: it is missing or broken; a build whose CUDA libraries are missing raises other
            errors, which this one replaces.
    """
    try:
        return importlib.import_module("faiss")
    except Exception as error:
        raise ImportError(
            f"faiss cannot be imported ({type(error).__name__}: {first_line(error)}); install "
            "faiss-gpu or faiss-cpu"
        ) from error


@contextmanager
def logged_failure(what: str) -> Iterator[None]:
    """Log a failure to make a picture or page and go on, for the training is worth more.

    Args:
        what: names it in the warning.
    """
    try:
        yield
    except Exception as error:  # of any library that draws or decodes
        log.warning("%s cannot be made: %s", what, first_line(error))
