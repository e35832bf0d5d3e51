"""A report on a tokenizer: one HTML page."""
