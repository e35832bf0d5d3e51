"""One HTML page on a tokenizer."""
