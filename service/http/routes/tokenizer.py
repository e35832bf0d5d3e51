"""`GET /v1/tokenizer`: the tokenizer, its limits and its measured quality."""

from fastapi import APIRouter

from service.http.messages.limits import LIMITS
from service.http.messages.schemas import IndexDescription, TokenizerDescription
from service.http.routes.dependencies import (
    LoadedDependency,
    RecommendingDependency,
    SearchingDependency,
    TokenizingDependency,
)
from service.http.routing.threaded import Threaded

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["tokenizer"], route_class=Threaded)


@router.get("/tokenizer")
def describe(
    tokenizing: TokenizingDependency,
    loaded: LoadedDependency,
    recommending: RecommendingDependency,
    searching: SearchingDependency,
) -> TokenizerDescription:
    """Return the tokenizer's fingerprint, sizes, limits, versions, and metrics from training."""
    catalogue = tokenizing.catalogue
    pipeline = catalogue.pipeline
    config = pipeline.config
    return TokenizerDescription(
        fingerprint=pipeline.fingerprint,
        name=pipeline.name,
        default=loaded.is_default(tokenizing),
        held=[one.catalogue.pipeline.fingerprint for one in loaded],
        quantizer=config.quantizer.name,
        levels=pipeline.levels,
        codebook_size=pipeline.codebook_size,
        policy=config.policy,
        dimension=config.dimension,
        encoder=config.encoder.name if config.encoder else None,
        text_fields=list(config.text.fields),
        items=catalogue.registry.count(),
        index=IndexDescription(**catalogue.searched()),
        recommender=None if recommending is None else recommending.recommender.fingerprint,
        recommender_reads=None if recommending is None else recommending.recommender.tokenizer,
        search=None if searching is None else searching.searcher.fingerprint,
        limits=LIMITS.get(),
        queue=tokenizing.capacity.queue,
        timeout=tokenizing.capacity.timeout,
        versions=config.versions,
        metrics=pipeline.metrics,
    )
