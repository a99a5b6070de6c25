"""``geofix keys``: who may use the service."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from geofix.errors import InvalidOption
from geofix.settings import settings
from service.auth.access import key_ring
from service.auth.caller import LARGEST_CAP_KM, Scope
from service.auth.keys import Key, KeyRing

_DAYS = click.FloatRange(min=0, min_open=True, max=36_500)


@click.group()
def keys() -> None:
    """Make, list, rotate and revoke API keys. A running service sees every change at once."""


@keys.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([scope.value for scope in Scope]),
    default=("locate",),
    show_default=True,
    help="What the key may do; several are allowed, admin holds all.",
)
@click.option(
    "--cap-km",
    type=click.FloatRange(min=0, min_open=True, max=LARGEST_CAP_KM),
    help="No answer to this key is more precise than this.",
)
@click.option("--limit", "limits", multiple=True, help="As 10/second or 1000/day; several hold.")
@click.option("--no-store", is_flag=True, help="Keep no answer to this key in any cache.")
@click.option("--days", type=_DAYS, help="Days until it expires [default: never].")
def create(
    name: str,
    scopes: tuple[str, ...],
    cap_km: float | None,
    limits: tuple[str, ...],
    no_store: bool,
    days: float | None,
) -> None:
    """Make a key called NAME and print it, this once."""
    key, text = _ring().create(
        name,
        frozenset(Scope(scope) for scope in scopes),
        cap_km=cap_km,
        limits=";".join(limits),
        no_store=no_store,
        lifetime=timedelta(days=days) if days else None,
    )
    _show(key, text)


@keys.command("list")
def list_keys() -> None:
    """Name every key and what it may do."""
    now = datetime.now(UTC)
    for key in _ring().keys().values():
        click.echo("\t".join([key.id, _state(key, now), *_grants(key), key.name]))


@keys.command()
@click.argument("key_id")
@click.option(
    "--grace-hours",
    type=click.FloatRange(min=0, max=24 * 365),
    default=24.0,
    show_default=True,
    help="How long the old text still works.",
)
@click.option("--days", type=_DAYS, help="Days until the new text expires [default: never].")
def rotate(key_id: str, grace_hours: float, days: float | None) -> None:
    """Give the key KEY_ID (gfx_…) a new text and print it, this once."""
    key, text = _ring().rotate(
        key_id,
        grace=timedelta(hours=grace_hours),
        lifetime=timedelta(days=days) if days else None,
    )
    _show(key, text)


@keys.command()
@click.argument("key_id")
def revoke(key_id: str) -> None:
    """Let the key KEY_ID (gfx_…) open nothing any more, from now on."""
    if key_id.count("_") > 1:
        raise InvalidOption("Name the key by its prefix alone, gfx_ and twelve characters.")
    click.echo(f"Revoked {_ring().revoke(key_id).id}.", err=True)


def _ring() -> KeyRing:
    return key_ring(settings())


def _show(key: Key, text: str) -> None:
    click.echo(f"{key.id}: {', '.join(_grants(key))}. This is shown once:", err=True)
    click.echo(text)


def _state(key: Key, now: datetime) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if not key.valid(now):
        return "expired"
    ends = [secret.expires_at for secret in key.secrets if secret.valid(now)]
    last = None if None in ends else max(end for end in ends if end)
    return f"until {last:%Y-%m-%d}" if last else "valid"


def _grants(key: Key) -> list[str]:
    cap = f"capped to {key.cap_km:g} km" if key.cap_km else "not capped"
    return ["+".join(key.scopes), cap, key.limits or "no limits"]
