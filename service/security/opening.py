"""From settings to what decides who may do what."""

from importlib.util import find_spec

from service.security.access import Access
from service.security.keys import KeyRing, KeysError
from service.settings import Settings


def open_access(settings: Settings, *, workers: int = 1) -> Access:
    """Raises KeysError for a keys file that cannot be used, or tokens that are half configured."""
    keys = KeyRing(settings.keys) if settings.keys is not None else None
    wanted = {"ISSUER": settings.jwt_issuer, "AUDIENCE": settings.jwt_audience, "KEYS": settings.jwt_keys}
    missing = [f"INTENTLY_JWT_{name}" for name, value in wanted.items() if not value]
    if len(missing) == len(wanted):
        return Access(keys, workers=workers)
    if missing:
        raise KeysError(f"tokens need {' and '.join(missing)} too")
    if find_spec("jwt") is None or find_spec("cryptography") is None:
        raise KeysError("INTENTLY_JWT_ISSUER is set and PyJWT is missing: pip install 'intently[jwt]'")
    from service.security.signing_keys import SigningKeys
    from service.security.tokens import Tokens

    signing_keys = SigningKeys(settings.jwt_keys or "", seconds=settings.jwt_keys_seconds)
    signing_keys.read()
    found = Tokens(
        signing_keys,
        issuer=settings.jwt_issuer or "",
        audience=settings.jwt_audience or "",
        scopes_claim=settings.jwt_scopes_claim,
        rate=settings.jwt_rate,
    )
    return Access(keys, found, workers=workers)
