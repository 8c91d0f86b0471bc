"""Measuring a running service from outside."""
