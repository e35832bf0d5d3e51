"""Generation of items: models that write IDs, and the search for the items that they write."""
