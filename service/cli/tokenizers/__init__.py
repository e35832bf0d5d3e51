"""Commands that fit, judge and use tokenizers."""
