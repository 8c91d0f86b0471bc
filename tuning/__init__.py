"""Hyperparameter sweeps: Ray Tune and Optuna over the settings of a training, ending in a bundle."""
