"""A world with known tastes: for tests, demos and closed-loop evaluation."""
