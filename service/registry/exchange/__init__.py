"""The registry in files: written whole, and read back chunk by chunk."""

from service.registry.exchange.export import export_registry
from service.registry.exchange.importing import import_registry

__all__ = ["export_registry", "import_registry"]
