"""How the columns of a user's file become the fields of an item."""
