"""Streams: events in Kafka, and the way from there, or from the files of a log, into user state and lake.

Write with :class:`recsys.streams.event_log.KafkaEventLog`, read with :class:`recsys.streams.ingest.Ingest`.
"""
