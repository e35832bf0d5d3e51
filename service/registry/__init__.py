"""The item registry: which item has which semantic ID, by which tokenizer, for ever."""

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
