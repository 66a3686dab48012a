"""Online Deep Clustering (Zhan, Xie et al., CVPR 2020) on PyTorch Lightning."""

__version__ = "0.1.0"
