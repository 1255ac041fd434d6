"""Requests signed as their senders describe it, in a few lines each and without any code of ours."""

from __future__ import annotations

import base64
import hashlib
import hmac

Headers = list[tuple[str, str]]

# Of the Standard Webhooks specification's own libraries, whose tests all sign this message.
STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STANDARD_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
STANDARD_AT = 1614265330
STANDARD_BODY = b'{"test": 2432232314}'
STANDARD_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

# Of docs.github.com, "Validating webhook deliveries", under "Testing the webhook payload validation".
GITHUB_SECRET = "It's a Secret to Everybody"
GITHUB_BODY = b"Hello, World!"
GITHUB_SIGNATURE = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"

# Of api.slack.com, "Verifying requests from Slack", the example of a slash command.
SLACK_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
SLACK_AT = 1531420618
SLACK_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
SLACK_SIGNATURE = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"

# Stripe publishes no request whose secret is known; docs.stripe.com/webhooks/signature describes how it signs.
STRIPE_SECRET = "whsec_only_for_these_tests"


def hexadecimal(secret: str, signed: bytes) -> str:
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def standard_headers(
    body: bytes, *, id: str = STANDARD_ID, at: object = STANDARD_AT, secret: str = STANDARD_SECRET
) -> Headers:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{id}.{at}.".encode() + body, hashlib.sha256).digest()
    return standard_lines(id, at, f"v1,{base64.b64encode(digest).decode()}")


def standard_lines(id: str = STANDARD_ID, at: object = STANDARD_AT, signature: str = STANDARD_SIGNATURE) -> Headers:
    return [
        ("content-type", "application/json"),
        ("webhook-id", id),
        ("webhook-timestamp", str(at)),
        ("webhook-signature", signature),
    ]


def github_headers(body: bytes, *, id: str = "72d3162e-cc78", secret: str = GITHUB_SECRET) -> Headers:
    signature = f"sha256={hexadecimal(secret, body)}"
    return [("x-github-delivery", id), ("x-github-event", "push"), ("x-hub-signature-256", signature)]


def stripe_headers(body: bytes, *, at: int, secret: str = STRIPE_SECRET, others: str = "") -> Headers:
    return [("stripe-signature", f"t={at},v1={hexadecimal(secret, f'{at}.'.encode() + body)}{others}")]


def slack_headers(body: bytes, *, at: int = SLACK_AT, secret: str = SLACK_SECRET) -> Headers:
    signature = f"v0={hexadecimal(secret, f'v0:{at}:'.encode() + body)}"
    return [("x-slack-request-timestamp", str(at)), ("x-slack-signature", signature)]


def changed(headers: Headers, name: str, value: str) -> Headers:
    return [(key, value if key == name else old) for key, old in headers]
