"""The mathematics of pretext tasks: targets that come from the images themselves."""

from odc_lightning.pretext.rotations import four_rotations

__all__ = ["four_rotations"]
