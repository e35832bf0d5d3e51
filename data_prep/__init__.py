"""Raw public data and a user's own catalogue, turned into tidy tables and vectors."""
