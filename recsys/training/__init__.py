"""The steps from data to a bundle."""
