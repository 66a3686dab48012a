"""A trained network in forms that others read: weights, programs, how to prepare images, a card."""

from odc_lightning.hub.folder import export_folder
from odc_lightning.hub.onnx_file import require_onnx

__all__ = ["export_folder", "require_onnx"]
