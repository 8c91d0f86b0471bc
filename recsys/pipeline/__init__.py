"""Recall, rank, rerank as plain calls on batches; evaluation and the graph both run these."""
