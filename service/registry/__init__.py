"""The item registry: the permanent semantic IDs of items, by item and tokenizer."""

from service.registry.database import Database, open_database
from service.registry.entries import Changes, NewItem, PrefixCount, RegisteredItem
from service.registry.registry import Reassign, Registry

__all__ = [
    "Changes",
    "Database",
    "NewItem",
    "PrefixCount",
    "Reassign",
    "RegisteredItem",
    "Registry",
    "open_database",
]
