"""Answers requests: queues, batches, the catalogue and the index, without HTTP."""
