"""Scaling policies against made-up days, on a clock of their own."""
