"""Calls from routers to stages: replicas found through Ray Serve, called on connections of our own.

``docs/decisions/wire.md`` says why.
"""
