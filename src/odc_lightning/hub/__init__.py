"""Export of a trained network: weights, torch.export, ONNX, preprocessing, a model card."""

from odc_lightning.hub.export_folder import export_folder
from odc_lightning.hub.onnx_export import require_onnx

__all__ = ["export_folder", "require_onnx"]
