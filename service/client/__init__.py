"""The typed client of the service, for programs with and without an event loop."""

from service.client.bulk import ItemProblem
from service.client.calls import SemidError
from service.client.clients import AsyncSemid, Semid

__all__ = ["AsyncSemid", "ItemProblem", "Semid", "SemidError"]
