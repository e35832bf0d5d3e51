"""Generating an item: tokens of its ID, the trie of valid IDs, beam search."""
