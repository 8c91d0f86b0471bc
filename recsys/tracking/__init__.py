"""Telling a tracking server of sweeps, bundles and channels; MLflow is known to one file of this folder."""
