"""The durable, append-only log of events: files that survive ``kill -9`` between any two bytes.

Write with :class:`recsys.eventlog.writer.EventLogWriter`, read with :mod:`recsys.eventlog.reader`, bring a
user state up to date with :func:`recsys.eventlog.replay.replay`.
"""
