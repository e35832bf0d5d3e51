"""Files of others, one reader a source, turned into checked tables."""
