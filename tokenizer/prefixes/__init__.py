"""What the items under a prefix have in common: words, a central item, coherence, sizes."""
