"""Tokens: access tokens and login cookies as JWTs, refresh tokens as random text."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Any

import jwt

from jupyter_collab_ai.clock import utcnow
from jupyter_collab_ai.errors import NotAuthenticated, TokenExpired
from jupyter_collab_ai.identity.keys import KeyRing
from jupyter_collab_ai.ids import LoginId, UserId, new_id

ISSUER = "jupyter-collab-ai"
ALGORITHM = "HS256"
#: Seconds by which the clocks of two servers may differ.
LEEWAY = 10
#: Characters that a token may have; ours have about 350.
MAX_TOKEN = 4096

ACCESS_LIFETIME = timedelta(minutes=15)
#: How long a login lives after it was last refreshed, and so its cookie and refresh token.
LOGIN_LIFETIME = timedelta(days=30)

_CLAIMS = ["exp", "iat", "nbf", "iss", "aud", "sub", "sid", "ver", "jti"]
_INVALID = "The access token is not valid; sign in again."


class Audience(Enum):
    """What a token is for; one for one thing is no good for another."""

    ACCESS = "collab-ai:access"
    COOKIE = "collab-ai:cookie"


@dataclass(frozen=True)
class Claims:
    """What a valid token says. Roles are never in it: they are looked up when they matter."""

    user_id: UserId
    login_id: LoginId
    #: Of the account when the token was made; a later one ends all earlier tokens.
    version: int


class Tokens:
    """Mints and verifies JWTs (RFC 7519) with the keys of a ring."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def mint(
        self,
        user_id: UserId,
        login_id: LoginId,
        audience: Audience,
        lifetime: timedelta,
        *,
        version: int,
    ) -> str:
        """Return a signed token; ``version`` is the account's, which ends it by counting up."""
        key = self._keys.newest
        now = utcnow()
        return jwt.encode(
            {
                "iss": ISSUER,
                "aud": audience.value,
                "sub": str(user_id),
                "sid": str(login_id),
                "ver": version,
                "jti": new_id(),
                "iat": now,
                "nbf": now,
                "exp": now + lifetime,
            },
            key.secret,
            algorithm=ALGORITHM,
            headers={"kid": key.kid},
        )

    def verify(self, token: str, audience: Audience) -> Claims:
        """Return what a token says.

        Raises:
            TokenExpired: It was good once.
            NotAuthenticated: It never was, or is for something else.
        """
        if len(token) > MAX_TOKEN:
            raise NotAuthenticated(_INVALID)
        try:
            # The algorithm is ours to say, never the token's (RFC 8725, section 3.1).
            key = self._keys.find(jwt.get_unverified_header(token).get("kid"))
            if key is None:
                raise NotAuthenticated(_INVALID)
            claims: dict[str, Any] = jwt.decode(
                token,
                key.secret,
                algorithms=[ALGORITHM],
                audience=audience.value,
                issuer=ISSUER,
                leeway=LEEWAY,
                options={
                    "require": _CLAIMS,
                    "strict_aud": True,
                    "enforce_minimum_key_length": True,
                },
            )
            sid, version = claims["sid"], claims["ver"]
            if not isinstance(sid, str) or type(version) is not int:
                raise NotAuthenticated(_INVALID)
        except jwt.ExpiredSignatureError:
            raise TokenExpired("The access token has expired; refresh it.") from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            raise NotAuthenticated(_INVALID) from None
        return Claims(UserId(claims["sub"]), LoginId(sid), version)


def new_refresh_token() -> str:
    """Return a refresh token: 256 random bits."""
    return secrets.token_urlsafe(32)


def hash_refresh_token(token: str) -> str:
    """Return what is kept of a refresh token; random bits need no salt."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
