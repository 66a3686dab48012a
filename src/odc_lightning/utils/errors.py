"""Errors that Hydra wraps."""

from hydra.errors import InstantiationException


def without_wrapper(error: Exception) -> BaseException:
    """The error of a constructor that Hydra called; any other error as it is."""
    wrapped = error.__cause__ if isinstance(error, InstantiationException) else None
    return wrapped or error
