"""Training of a tokenizer, from vectors to measured weights."""
