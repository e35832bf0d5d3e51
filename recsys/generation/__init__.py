"""Generation of items: tokens of IDs, the trie of valid IDs, beam search."""
