"""From images to features (N, D), and where features are kept."""
