"""Types of settings: a value held against the annotation of the argument that it becomes."""

import os
import types
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

# How the types are called in messages.
_NAMES: Mapping[Any, str] = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a text",
    types.NoneType: "null",
}
_PATHS = (Path, os.PathLike)
_LISTS = (list, tuple, Sequence, Iterable, Collection)
_MAPPINGS = (dict, Mapping)


def hints_of(function: Any) -> dict[str, Any]:
    """The annotations of a function's arguments, or of a class's; empty if they cannot be read."""
    try:
        return get_type_hints(function.__init__ if isinstance(function, type) else function)
    except Exception:  # names that exist only for type checkers
        return {}


def accepts(hint: Any, value: Any) -> bool:
    """Whether a value of a config suits an annotation; True for types that no config holds.

    Args:
        hint: the annotation.
        value: plain; a list stands for any sequence, a text for a path.
    """
    if isinstance(value, Mapping) and "_target_" in value:
        return True  # an object that is built first
    origin = get_origin(hint) or hint
    if origin in (Union, types.UnionType):
        return any(accepts(each, value) for each in get_args(hint))
    if origin is Literal:
        return value in get_args(hint)
    if origin is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if origin in _NAMES:
        return type(value) is origin
    if origin in _PATHS:
        return isinstance(value, str)
    if origin in _LISTS:
        items = [each for each in get_args(hint) if each is not Ellipsis]
        return isinstance(value, list) and (
            len(items) != 1 or all(accepts(items[0], each) for each in value)
        )
    return origin not in _MAPPINGS or isinstance(value, Mapping)


def described(hint: Any) -> str:
    """An annotation in words."""
    origin = get_origin(hint) or hint
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(map(described, get_args(hint))))
    if origin is Literal:
        return " or ".join(map(str, get_args(hint)))
    if origin in _PATHS:
        return "a path"
    return "a list" if origin in _LISTS else _NAMES.get(origin, "a mapping")
