"""Judging models by what was really shown: does the shown item that was chosen stand above the other?"""
