"""Commands that fit, measure and use tokenizers."""
