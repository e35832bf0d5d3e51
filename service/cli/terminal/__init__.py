"""Parts that all commands share: the console, the endings, and common options."""
