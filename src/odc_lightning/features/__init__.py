"""Extraction of features (N, D) from images, and their storage."""
