"""How a sentence-transformers model is used: its revision, prompt, and length of the vectors."""

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ModelSettings"]


class ModelSettings(BaseModel):
    """Settings of a sentence-transformers model; a tokenizer keeps them.

    Attributes:
        hub_revision: branch, tag or commit of a model that is downloaded; empty for the newest.
        prompt: the name of one of the model's prompts, or a text to put before every text; empty
            for the model's default prompt.
        truncate_dim: vectors are cut to so many numbers, for models that were trained for it
            (Matryoshka representation learning, Kusupati et al. 2022); 0 for all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    hub_revision: str = ""
    prompt: str = ""
    truncate_dim: int = Field(default=0, ge=0, le=65_536)

    @property
    def usual(self) -> bool:
        """Whether the model is used as it is."""
        return self == ModelSettings()
