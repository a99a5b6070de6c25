"""Who may ask, what is told them, and what is kept of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, SecretStr


class AccessSettings(BaseModel):
    """Who may ask, what is told them, and what is kept of it."""

    auth: Literal["auto", "required", "off"] = Field(
        default="auto",
        description="Whether callers must say who they are; auto = unless on loopback.",
    )
    open_to_anyone: bool = Field(
        default=False,
        description="With auth=off: listen beyond loopback all the same. Both are needed.",
    )
    keys_file: Path | None = Field(
        default=None, description="Where API keys are kept; none = keys.json in the data directory."
    )
    privacy_hook: str = Field(
        default="",
        description="Function that sees a photo first and may refuse or coarsen, module:function.",
    )
    audit: bool = Field(default=True, description="Keep an audit of who asked what.")
    audit_days: Annotated[int, Field(ge=0)] = Field(
        default=90, description="Days for which the audit is kept; 0 = for ever."
    )
    audit_key: SecretStr = Field(
        default=SecretStr(""),
        description="Key of the audit's photo hashes; empty = one made in the data directory.",
    )
    oidc_issuer: str = Field(
        default="", description="Issuer of bearer tokens, https://…; empty = none are accepted."
    )
    oidc_audience: str = Field(default="", description="Audience a token must name.")
    oidc_jwks_url: str = Field(
        default="", description="Where the issuer's keys are; empty = as its discovery says."
    )
    oidc_scope_claim: str = Field(
        default="scope", description="Claim that lists the token's scopes."
    )
    oidc_cap_km: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="Precision cap of every token, in km; 0 = none."
    )
    oidc_limits: str = Field(
        default="", description="Limits of every token's subject, as 10/second;1000/day."
    )
    service_url: str = Field(
        default="",
        description="Where the service answers; empty = the one that owns the data directory.",
    )
    api_key: SecretStr = Field(
        default=SecretStr(""), description="What commands show that service, as gfx_…."
    )
