"""The typed client of the service."""

from service.client.clients import AsyncSemid, Semid

__all__ = ["AsyncSemid", "Semid"]
