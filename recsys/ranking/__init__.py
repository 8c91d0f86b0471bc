"""Scoring the candidates with everything known: the candidate matrix and gradient boosting."""
