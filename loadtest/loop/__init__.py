"""The closed loop in one go: a shift, an alarm, a refresh, its canary and promotion, no hand on any of it."""
