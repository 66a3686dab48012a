"""Names that a person gives to clusters and images, and the images that they hold for."""

from odc_lightning.naming.given_names import (
    GivenNames,
    as_given_names,
    clustering_id,
    read_given_names,
)
from odc_lightning.naming.named_images import NamedImages, Source, name_images, read_names

__all__ = [
    "GivenNames",
    "NamedImages",
    "Source",
    "as_given_names",
    "clustering_id",
    "name_images",
    "read_given_names",
    "read_names",
]
