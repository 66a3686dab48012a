"""Long tables of images, written a part at a time and put together at the end."""

from odc_lightning.tables.files import (
    FORMATS,
    Format,
    printable,
    write_csv,
    write_features,
    write_parquet,
)
from odc_lightning.tables.parts import Parts

__all__ = [
    "FORMATS",
    "Format",
    "Parts",
    "printable",
    "write_csv",
    "write_features",
    "write_parquet",
]
