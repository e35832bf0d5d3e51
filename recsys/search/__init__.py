"""Search: a query, and perhaps the user's history of items → the items that answer it."""
