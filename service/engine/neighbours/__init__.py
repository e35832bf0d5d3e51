"""The items nearest to a query, by codes or by vectors, and how many of them are found."""
