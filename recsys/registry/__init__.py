"""Bundles: their format on disk, where they live, and the channels that name them."""
