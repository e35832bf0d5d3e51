"""The shape of a generator, and of its search."""

from dataclasses import dataclass, field

from data_prep.errors import InputError
from recsys.evaluation.metrics import CUTOFFS
from recsys.models.causal_transformer import TowerConfig

__all__ = ["GeneratorConfig"]


@dataclass(frozen=True)
class GeneratorConfig:
    """The shape of both Transformers, and of the search.

    Attributes:
        tower: the item Transformer; the code Transformer has its width, heads and feed-forward
            width.
        code_layers: layers of the code Transformer.
        code_dropout: dropout of the code Transformer.
        rows_to: prefixes of 2 to this many codes have a learnt row each, in both Transformers.
        nearness: `codes`, `content` or empty: how near a node's items are to the history's last
            items counts, as in `recsys.models.nearness`.
        transitions: whether found items are reranked by what users took after the history's last
            items, as in `recsys.generation.reranking`.
        new_items: whether new items are put among the reranked ones by nearness, as in
            `recsys.generation.new_items`.
        drop_rows: share of the items that a training step takes as if they had no training event,
            so that new items get their due (as DropoutNet, NeurIPS 2017, does).
        smoothing: share of each target's probability that is spread over its siblings.
        headroom: further suffixes, for items that come later.
        beams: of the search, which lists as many items; metrics have cutoffs up to it.
        validation_beams: of the search that measures the model in training.
    """

    tower: TowerConfig = field(default_factory=lambda: TowerConfig(dropout=0.3))
    code_layers: int = 2
    code_dropout: float = 0.1
    rows_to: int = 3
    nearness: str = ""
    transitions: bool = False
    new_items: bool = False
    drop_rows: float = 0.0
    smoothing: float = 0.0
    headroom: int = 16
    beams: int = 50
    validation_beams: int = 20

    def check(self) -> None:
        """Check what fits together.

        Raises:
            InputError: there are fewer beams than the smallest cutoff; new items lack nearness or
                transitions.
        """
        for name in ("beams", "validation_beams"):
            if getattr(self, name) < min(CUTOFFS):
                raise InputError(
                    f"{name} is {getattr(self, name)}; at least {min(CUTOFFS)} are needed"
                )
        if self.new_items and not (self.nearness and self.transitions):
            raise InputError("new_items needs nearness and transitions; give all three")
