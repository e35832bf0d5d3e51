"""The typed client of the service, sync and async."""

from service.client.bulk import ItemProblem
from service.client.calls import SemidError
from service.client.clients import AsyncSemid, Semid

__all__ = ["AsyncSemid", "ItemProblem", "Semid", "SemidError"]
