"""Steady load for a long time: does memory stay where it is, and does every request succeed?"""
