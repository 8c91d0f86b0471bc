"""What every other part stands on: errors, settings, time, chance, hashing."""
