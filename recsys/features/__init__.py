"""Each feature computed in one place, for training and serving alike."""
