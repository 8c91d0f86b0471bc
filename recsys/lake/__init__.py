"""The lake: everything that ever came in, in Delta tables that any program can read.

Write and read through :class:`recsys.lake.lake.Lake`; only :mod:`recsys.lake.delta` knows the library.
"""
