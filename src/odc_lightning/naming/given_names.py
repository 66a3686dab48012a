"""``labels.json``: what a person said about the clusters and images of a run.

The page of `odc clusters` writes this file. Clusters are named by their numbers, which mean
something for one clustering only, and images by their names in the run.
"""

import hashlib
import unicodedata
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from odc_lightning.utils.arrays import IntArray
from odc_lightning.utils.home import expanded
from odc_lightning.utils.json_file import read_json
from odc_lightning.utils.text import printable

FORMAT = "odc-labels"
VERSION = 1
LONGEST = 200  # characters of a name
_FORBIDDEN = {"Cc", "Cs", "Zl", "Zp"}  # controls, halves of characters, ends of lines

Pair = tuple[str, str]


@dataclass
class GivenNames:
    """What a person said about a run.

    Attributes:
        clustering: `clustering_id` of the clusters; None if no cluster has a name.
        run: folder of the run, if the page was allowed to say it.
        clusters: cluster -> its name, or None for rubbish. Several clusters may have one name.
        images: image -> its name, or None for rubbish.
        wrong: images that do not belong to the name of their cluster.
        together: pairs of images of the same name, whatever it is.
        apart: pairs of images of different names.
        changed: time of the last change, as ISO 8601 in UTC; the page takes the newest file.
    """

    clustering: str | None = None
    run: str | None = None
    clusters: dict[int, str | None] = field(default_factory=dict)
    images: dict[str, str | None] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    together: list[Pair] = field(default_factory=list)
    apart: list[Pair] = field(default_factory=list)
    changed: str = ""

    def as_json(self) -> dict[str, Any]:
        """The content of the file."""
        return {"format": FORMAT, "version": VERSION, **asdict(self)}


def clustering_id(names: Iterable[str], clusters: IntArray) -> str:
    """A digest of a clustering: equal for the same images in the same clusters.

    Args:
        names: of N images.
        clusters: (N,) of the images.
    """
    digest = hashlib.sha256(clusters.astype("<i8").tobytes())
    for name in names:
        digest.update(name.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()[:16]


def read_given_names(path: Path | str) -> GivenNames:
    """Read a ``labels.json``.

    Raises:
        ValueError: the file is missing, or it is not what the page writes.
    """
    file = expanded(path)
    if not file.is_file():
        raise ValueError(
            f"labels={printable(file)} is not a file; expected the labels.json that the page of "
            "odc clusters saves"
        )
    try:
        return as_given_names(read_json(file))
    except ValueError as error:
        raise ValueError(f"labels={printable(file)}: {error}") from error


def as_given_names(content: Any) -> GivenNames:
    """Check the content of a ``labels.json``.

    Raises:
        ValueError: a part is not what the page writes.
    """
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(
            f"it has no format={FORMAT!r}; expected the labels.json that the page of odc clusters "
            "saves"
        )
    if content.get("version") != VERSION:
        raise ValueError(
            f"it has version {content.get('version')!r}; this package reads version {VERSION}"
        )
    clusters = {_number(key): _name(key, name) for key, name in _map(content, "clusters").items()}
    clustering = _text(content, "clustering")
    if clusters and clustering is None:
        raise ValueError("it names clusters, but not their clustering; save it again on the page")
    images = {key: _name(key, name) for key, name in _map(content, "images").items()}
    wrong = content.get("wrong", [])
    if not (isinstance(wrong, list) and all(isinstance(image, str) for image in wrong)):
        raise ValueError("its wrong is not a list of the names of images")
    if both := images.keys() & set(wrong):
        raise ValueError(f"{printable(min(both))} is in images and in wrong; expected one of them")
    return GivenNames(
        clustering,
        _text(content, "run"),
        clusters,
        images,
        wrong,
        _pairs(content, "together"),
        _pairs(content, "apart"),
        _text(content, "changed") or "",
    )


def _map(content: dict[str, Any], key: str) -> dict[str, Any]:
    value = content.get(key, {})
    if not isinstance(value, dict):
        raise ValueError(f"its {key} is {type(value).__name__}; expected an object of names")
    return value


def _text(content: dict[str, Any], key: str) -> str | None:
    value = content.get(key)
    if not (value is None or isinstance(value, str)):
        raise ValueError(f"its {key} is {value!r}; expected a text")
    return value


def _number(key: str) -> int:
    if not (key.isascii() and key.isdigit()):
        raise ValueError(f"its clusters have the key {key!r}; expected the number of a cluster")
    return int(key)


def _name(key: str, name: Any) -> str | None:
    if name is None:
        return None
    # Other scripts need characters that Python does not call printable, such as joiners.
    if isinstance(name, str) and not _FORBIDDEN.intersection(map(unicodedata.category, name)):
        cleaned = " ".join(unicodedata.normalize("NFC", name).split())
        if 0 < len(cleaned) <= LONGEST:
            return cleaned
    raise ValueError(
        f"{printable(key)} has the name {name!r}; expected a line of 1 to {LONGEST} characters, "
        "or null"
    )


def _pairs(content: dict[str, Any], key: str) -> list[Pair]:
    value = content.get(key, [])
    if not isinstance(value, list):
        raise ValueError(f"its {key} is {type(value).__name__}; expected a list of pairs")
    for pair in value:
        if not (
            isinstance(pair, list)
            and len(pair) == 2
            and all(isinstance(image, str) for image in pair)
            and pair[0] != pair[1]
        ):
            raise ValueError(f"its {key} has {pair!r}; expected the names of two images")
    return [(one, other) for one, other in value]
