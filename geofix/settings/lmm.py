"""The language model that may be asked, and what that may cost."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class LmmPrompt(BaseModel):
    """One prompt of the ensemble that a language model is asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    references: Annotated[int, Field(ge=0, le=50)] = 0
    """How many similar photos the prompt names, and as many dissimilar ones."""
    n: Annotated[int, Field(ge=1, le=20)] = 5
    """Generations asked for."""
    temperature: Annotated[float, Field(ge=0, le=2)] = 1.0
    style: Literal["direct", "geocot"] = "direct"
    """``geocot``: five questions from the coarse to the fine before the answer."""


class LmmSettings(BaseModel):
    """The language model that may be asked, and what that may cost."""

    lmm_base_url: str = Field(
        default="",
        description="OpenAI-compatible endpoint, up to and with /v1; empty = OpenAI's own.",
    )
    lmm_api_key: SecretStr = Field(default=SecretStr(""), description="Key of that endpoint.")
    lmm_model: str = Field(
        default="",
        description="Model asked. No model is asked without this and a base URL or a key.",
    )
    lmm_prompts: tuple[LmmPrompt, ...] = Field(
        default=tuple(LmmPrompt(references=references) for references in (0, 5, 10, 15)),
        min_length=1,
        description="The ensemble, as JSON.",
    )
    lmm_thumbnails: bool = Field(
        default=False,
        description="Send the neighbours' thumbnails: the model takes several pictures.",
    )
    lmm_image_side: Annotated[int, Field(ge=64, le=4096)] = Field(
        default=1024, description="Longest side of the photo as sent, in pixels."
    )
    lmm_budget_s: Annotated[float, Field(gt=0)] = Field(
        default=20.0, description="Wall-clock limit of all calls for one photo, in seconds."
    )
    lmm_retries: Annotated[int, Field(ge=0, le=10)] = Field(
        default=2, description="Further attempts after a failure that may pass."
    )
    lmm_parallel: Annotated[int, Field(ge=1)] = Field(
        default=8, description="Calls in flight at once."
    )
    lmm_max_output_tokens: Annotated[int, Field(ge=16)] = Field(
        default=1024, description="Longest generation; thinking models need more."
    )
    lmm_max_calls: Annotated[int, Field(ge=0)] = Field(
        default=40, description="Calls for one photo; 0 = no limit."
    )
    lmm_max_tokens: Annotated[int, Field(ge=0)] = Field(
        default=100_000, description="Tokens in and out for one photo; 0 = no limit."
    )
    lmm_max_cost_usd: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="Money for one photo; 0 = no limit."
    )
    lmm_key_max_calls: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Calls for one caller's key and UTC day; 0 = no limit."
    )
    lmm_key_max_tokens: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Tokens for one caller's key and UTC day; 0 = no limit."
    )
    lmm_key_max_cost_usd: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="Money for one caller's key and UTC day; 0 = no limit."
    )
    lmm_input_usd: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="Price of a million input tokens; limits of money need it."
    )
    lmm_output_usd: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="Price of a million output tokens."
    )
    lmm_breaker_failures: Annotated[int, Field(ge=1)] = Field(
        default=5, description="Failures in a row after which the endpoint is left alone."
    )
    lmm_breaker_reset_s: Annotated[float, Field(gt=0)] = Field(
        default=30.0, description="Seconds after which one call probes whether it has recovered."
    )
    lmm_cache_size: Annotated[int, Field(ge=0)] = Field(
        default=1024, description="Answered prompts kept in memory; 0 = none."
    )
    lmm_cache_ttl_s: Annotated[float, Field(gt=0)] = Field(
        default=3600.0, description="Seconds for which they are kept."
    )

    @property
    def lmm_configured(self) -> bool:
        """Whether a language model may be asked at all."""
        return bool(self.lmm_model and (self.lmm_base_url or self.lmm_api_key.get_secret_value()))
