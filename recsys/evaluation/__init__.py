"""Metrics, protocols and reports: how good is a model, how sure are we, and where is it not better."""
