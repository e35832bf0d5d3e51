"""Which IDs exist: the vocabulary of their tokens, the trie, and the tree of items."""
