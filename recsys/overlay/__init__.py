"""The catalogue overlay: what has become of items since the bundles that are served were made.

Written by ``marquee ingest`` and ``marquee catalogue``, followed by every process of the serving graph.
"""
