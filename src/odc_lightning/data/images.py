"""`read_rgb` and its settings, under the name that they had in version 0.1.0."""

from odc_lightning.data.decoding.images import Reading as Reading
from odc_lightning.data.decoding.images import read_rgb as read_rgb
