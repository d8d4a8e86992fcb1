"""Signed messages by the vendors' Python libraries, and by the words of the vendors without one.

    python vendors.py make OUT.json COUNT SEED NOW    writes COUNT messages of each
    python vendors.py verify IN.json                  every message of IN.json must be accepted

A vendor without a library is signed here with `hmac` and `hashlib`, from its documentation: an implementation that
shares nothing with the one under test.
"""

import base64
import datetime
import hashlib
import hmac
import importlib.metadata
import json
import random
import sys
import time
import urllib.parse

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
import slack_sdk.signature
import standardwebhooks
import stripe
import svix
import twilio.request_validator

DOCUMENTED = "documentation, with Python's hmac"
TEXTS = ["Hello", "Grüße, Zoë", "価格?", "a & b = c", "100% {sure}", "line\nbreak", "🙂 + \\", ""]
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def by(package):
    return f"{package} {importlib.metadata.version(package)} (PyPI)"


def word(rng, length):
    return "".join(rng.choice(LETTERS) for _ in range(length))


def dumps(value):
    return json.dumps(value, ensure_ascii=False)


def mac(secret, text, kind=hashlib.sha256):
    return hmac.new(secret.encode(), text.encode(), kind)


def b64(data):
    return base64.b64encode(data).decode()


def calendly(rng, now):
    secret = word(rng, 44)
    body = dumps({"event": "invitee.created", "created_at": "2026-01-31T12:00:00.000000Z",
                  "payload": {"uri": f"https://api.calendly.com/x/{word(rng, 8)}", "name": rng.choice(TEXTS)}})
    tag = mac(secret, f"{now}.{body}").hexdigest()
    return secret, body, {"calendly-webhook-signature": f"t={now},v1={tag}"}


def intercom(rng, now):
    secret = word(rng, 36)
    body = dumps({"type": "notification_event", "id": f"notif_{word(rng, 12)}", "data": {"text": rng.choice(TEXTS)}})
    return secret, body, {"x-hub-signature": "sha1=" + mac(secret, body, hashlib.sha1).hexdigest()}


def mailgun(rng, now):
    secret, token = word(rng, 32), word(rng, 50)
    tag = mac(secret, f"{now}{token}").hexdigest()
    body = dumps({"signature": {"token": token, "timestamp": str(now), "signature": tag},
                  "event-data": {"id": word(rng, 22), "event": "delivered", "subject": rng.choice(TEXTS)}})
    return secret, body, {"content-type": "application/json"}


def meta(rng, now):
    secret = word(rng, 32)
    body = dumps({"object": "whatsapp_business_account", "entry": [{"id": word(rng, 9), "text": rng.choice(TEXTS)}]})
    return secret, body, {"x-hub-signature-256": "sha256=" + mac(secret, body).hexdigest()}


def standard_webhooks_v1a(rng, now):
    key = Ed25519PrivateKey.from_private_bytes(rng.randbytes(32))
    public = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    ident, body = f"msg_{word(rng, 20)}", dumps({"type": "lead.created", "data": rng.choice(TEXTS)})
    tag = b64(key.sign(f"{ident}.{now}.{body}".encode()))
    headers = {"webhook-id": ident, "webhook-timestamp": str(now), "webhook-signature": f"v1a,{tag}"}
    return f"whpk_{b64(public)}", body, headers


def twitter(rng, now):
    secret = word(rng, 50)
    body = dumps({"for_user_id": str(rng.randrange(10**9)), "tweet_create_events": [{"text": rng.choice(TEXTS)}]})
    return secret, body, {"x-twitter-webhooks-signature": "sha256=" + b64(mac(secret, body).digest())}


def typeform(rng, now):
    secret = word(rng, 24)
    body = dumps({"event_id": word(rng, 26), "event_type": "form_response", "form_response": {"a": rng.choice(TEXTS)}})
    return secret, body, {"typeform-signature": "sha256=" + b64(mac(secret, body).digest())}


def zendesk(rng, now):
    secret, body = word(rng, 44), dumps({"ticket": {"id": rng.randrange(10**6), "comment": rng.choice(TEXTS)}})
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    headers = {"x-zendesk-webhook-signature": b64(mac(secret, stamp + body).digest()),
               "x-zendesk-webhook-signature-timestamp": stamp,
               "x-zendesk-webhook-invocation-id": f"01{word(rng, 24)}"}
    return secret, body, headers


def slack(rng, now):
    secret = word(rng, 32)
    body = dumps({"type": "event_callback", "event_id": f"Ev{word(rng, 9)}", "event": {"text": rng.choice(TEXTS)}})
    tag = slack_sdk.signature.SignatureVerifier(secret).generate_signature(timestamp=str(now), body=body)
    return secret, body, {"x-slack-request-timestamp": str(now), "x-slack-signature": tag}


def twilio_form(rng, now):
    secret = word(rng, 32)
    fields = {"MessageSid": "SM" + rng.randbytes(16).hex(), "From": "+442079460990", "To": "+442079460991",
              "Body": rng.choice(TEXTS), "SmsStatus": "received"}
    url = "https://hooks.example.com/forms/default/sms"
    tag = twilio.request_validator.RequestValidator(secret).compute_signature(url, fields)
    headers = {"content-type": "application/x-www-form-urlencoded", "x-twilio-signature": tag}
    return secret, urllib.parse.urlencode(fields), headers, url


def three(library, prefix, rng, now):
    secret, ident = f"whsec_{b64(rng.randbytes(32))}", f"msg_{word(rng, 20)}"
    body = dumps({"type": "lead.created", "data": rng.choice(TEXTS)})
    moment = datetime.datetime.fromtimestamp(now, datetime.timezone.utc)
    tag = library(secret).sign(ident, moment, body)
    return secret, body, {f"{prefix}-id": ident, f"{prefix}-timestamp": str(now), f"{prefix}-signature": tag}


MAKES = [
    ("calendly", DOCUMENTED, calendly),
    ("intercom", DOCUMENTED, intercom),
    ("mailgun", DOCUMENTED, mailgun),
    ("meta", DOCUMENTED, meta),
    ("slack", by("slack_sdk"), slack),
    ("standard_webhooks", by("standardwebhooks"), lambda r, n: three(standardwebhooks.Webhook, "webhook", r, n)),
    ("standard_webhooks_v1a", "documentation, with Python's " + by("cryptography"), standard_webhooks_v1a),
    ("svix", by("svix"), lambda r, n: three(svix.webhooks.Webhook, "svix", r, n)),
    ("twilio", by("twilio"), twilio_form),
    ("twitter", DOCUMENTED, twitter),
    ("typeform", DOCUMENTED, typeform),
    ("zendesk", DOCUMENTED, zendesk),
]


def make(out, count, seed, now):
    rng = random.Random(seed)
    made = []
    for preset, source, one in MAKES:
        for _ in range(count):
            secret, body, headers, *url = one(rng, now)
            made.append({"preset": preset, "by": source, "method": "POST", "url": url[0] if url else "",
                         "now_s": now, "secret": secret, "body": body, "headers": list(headers.items())})
    with open(out, "w", encoding="utf-8") as file:
        file.write("[\n" + ",\n".join(dumps(m) for m in made) + "\n]\n")
    print(f"{len(made)} messages by Python")


def pairs(header):
    return dict(part.split("=", 1) for part in header.split(","))


def accepted(m):
    """What the vendor's library, or the vendor's documentation read again, says of a message."""
    h, secret, body = dict(m["headers"]), m["secret"], m["body"]
    preset = m["preset"]
    if preset == "slack":
        clock = slack_sdk.signature.Clock()
        verifier = slack_sdk.signature.SignatureVerifier(secret, clock)
        return verifier.is_valid(body, h["x-slack-request-timestamp"], h["x-slack-signature"])
    if preset == "stripe":
        return stripe.Webhook.construct_event(body, h["stripe-signature"], secret) is not None
    if preset == "calendly":
        given = pairs(h["calendly-webhook-signature"])
        return given["v1"] == mac(secret, f"{given['t']}.{body}").hexdigest()
    if preset == "intercom":
        return h["x-hub-signature"] == "sha1=" + mac(secret, body, hashlib.sha1).hexdigest()
    if preset == "meta":
        return h["x-hub-signature-256"] == "sha256=" + mac(secret, body).hexdigest()
    if preset == "twitter":
        return h["x-twitter-webhooks-signature"] == "sha256=" + b64(mac(secret, body).digest())
    if preset == "typeform":
        return h["typeform-signature"] == "sha256=" + b64(mac(secret, body).digest())
    if preset == "zendesk":
        stamp = h["x-zendesk-webhook-signature-timestamp"]
        time.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ")
        return h["x-zendesk-webhook-signature"] == b64(mac(secret, stamp + body).digest())
    return None


def verify(file):
    with open(file, encoding="utf-8") as opened:
        verdicts = [(m, accepted(m)) for m in json.load(opened)]
    for m, verdict in verdicts:
        if verdict is False:
            sys.exit(f"{m['preset']} does not accept {m['body']}")
    seen = sum(verdict is True for _, verdict in verdicts)
    if seen == 0:
        sys.exit("no message to verify")
    print(f"{seen} messages of ours are accepted in Python")


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(sys.argv[2], int(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
    else:
        verify(sys.argv[2])
