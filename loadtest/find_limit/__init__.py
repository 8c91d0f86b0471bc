"""Searches for the highest rate at which all marks hold."""
