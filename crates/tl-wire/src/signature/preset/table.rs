//! The rows.

use super::{Checked, Delivery, Maker, Preset};
use crate::signature::challenge::Challenge;
use crate::signature::recipe::{
    Algorithm, Encoding, IdAt, Part, Place, Recipe, TimeAt, Unit, UrlForm, text,
};
use crate::signature::secret::SecretForm;

const BODY: &[Part] = &[Part::Body];
const TIME_BODY: &[Part] = &[Part::Timestamp, Part::Body];
const TIME_DOT_BODY: &[Part] = &[Part::Timestamp, text("."), Part::Body];
const V0_TIME_BODY: &[Part] = &[text("v0:"), Part::Timestamp, text(":"), Part::Body];
const ID_TIME_BODY: &[Part] = &[Part::Id, text("."), Part::Timestamp, text("."), Part::Body];

/// Vendors that keep a message's first time through their retries: SendGrid retries for a day, Mailgun for eight
/// hours and warns of delays, Zendesk's retries are few and soon.
const DAY_S: i64 = 25 * 3_600;
const HOUR_S: i64 = 3_600;

/// A signature over the body alone.
const fn over_body(
    header: &'static str,
    prefix: &'static str,
    algorithm: Algorithm,
    encoding: Encoding,
) -> Recipe<'static> {
    Recipe {
        algorithm,
        signature: Place::Header(header),
        prefix,
        encoding,
        timestamp: None,
        id: None,
        signed: BODY,
    }
}

const fn time(header: &'static str, unit: Unit, past_s: Option<i64>) -> Option<TimeAt<'static>> {
    let place = Place::Header(header);
    Some(TimeAt {
        place,
        unit,
        past_s,
    })
}

const fn id(header: &'static str, required: bool) -> Option<IdAt<'static>> {
    let place = Place::Header(header);
    Some(IdAt { place, required })
}

/// `t=…,v1=…` in one header.
const fn pairs(header: &'static str) -> Recipe<'static> {
    Recipe {
        signature: Place::Pairs(header, "v1"),
        timestamp: Some(TimeAt {
            place: Place::Pairs(header, "t"),
            unit: Unit::Seconds,
            past_s: None,
        }),
        signed: TIME_DOT_BODY,
        ..over_body(header, "", Algorithm::HmacSha256, Encoding::Hex)
    }
}

/// Id, time and signatures in three headers.
const fn three_headers(
    names: [&'static str; 3],
    version: &'static str,
    algorithm: Algorithm,
) -> Recipe<'static> {
    Recipe {
        algorithm,
        signature: Place::Versions(names[2], version),
        prefix: "",
        encoding: Encoding::Base64,
        timestamp: time(names[1], Unit::Seconds, None),
        id: id(names[0], true),
        signed: ID_TIME_BODY,
    }
}

const WEBHOOK_HEADERS: [&str; 3] = ["webhook-id", "webhook-timestamp", "webhook-signature"];

/// Standard Webhooks v1.
pub(in crate::signature) const STANDARD_WEBHOOKS: Recipe<'static> =
    three_headers(WEBHOOK_HEADERS, "v1", Algorithm::HmacSha256);

/// Several of HubSpot's ids together: each alone may come again for another event.
const HUBSPOT_IDS: Delivery = Delivery::Fields(&[&[
    &["eventId"],
    &["subscriptionId"],
    &["occurredAt"],
    &["objectId"],
]]);

const HUBSPOT_LIBRARY: Checked = Checked::Library("@hubspot/api-client");

/// What most rows have.
const fn row(name: &'static str, title: &'static str, recipe: Recipe<'static>) -> Preset {
    Preset {
        name,
        title,
        recipe,
        secret: SecretForm::Text,
        maker: Maker::Vendor,
        delivery: Delivery::Header,
        challenge: None,
        checked: Checked::Documented,
    }
}

/// Every vendor, by name.
pub static PRESETS: &[Preset] = &[
    Preset {
        delivery: Delivery::Fields(&[&[&["event"], &["payload", "uri"], &["created_at"]]]),
        maker: Maker::Owner,
        ..row("calendly", "Calendly", pairs("calendly-webhook-signature"))
    },
    Preset {
        checked: Checked::Library("@octokit/webhooks-methods"),
        maker: Maker::Owner,
        ..row(
            "github",
            "GitHub",
            Recipe {
                id: id("x-github-delivery", true),
                ..over_body(
                    "x-hub-signature-256",
                    "sha256=",
                    Algorithm::HmacSha256,
                    Encoding::Hex,
                )
            },
        )
    },
    Preset {
        delivery: HUBSPOT_IDS,
        checked: HUBSPOT_LIBRARY,
        ..row(
            "hubspot",
            "HubSpot v3",
            Recipe {
                timestamp: time("x-hubspot-request-timestamp", Unit::Millis, None),
                signed: &[
                    Part::Method,
                    Part::Url(UrlForm::AnyEscapes),
                    Part::Body,
                    Part::Timestamp,
                ],
                ..over_body(
                    "x-hubspot-signature-v3",
                    "",
                    Algorithm::HmacSha256,
                    Encoding::Base64,
                )
            },
        )
    },
    Preset {
        delivery: HUBSPOT_IDS,
        checked: HUBSPOT_LIBRARY,
        ..row(
            "hubspot_v1",
            "HubSpot v1",
            over_body("x-hubspot-signature", "", Algorithm::Sha256, Encoding::Hex),
        )
    },
    Preset {
        delivery: HUBSPOT_IDS,
        checked: HUBSPOT_LIBRARY,
        ..row(
            "hubspot_v2",
            "HubSpot v2",
            Recipe {
                signed: &[Part::Method, Part::Url(UrlForm::AnyEscapes), Part::Body],
                ..over_body("x-hubspot-signature", "", Algorithm::Sha256, Encoding::Hex)
            },
        )
    },
    Preset {
        delivery: Delivery::Fields(&[&[&["id"]]]),
        ..row(
            "intercom",
            "Intercom",
            over_body(
                "x-hub-signature",
                "sha1=",
                Algorithm::HmacSha1,
                Encoding::Hex,
            ),
        )
    },
    Preset {
        delivery: Delivery::Fields(&[&[&["event-data", "id"]], &[&["Message-Id"]]]),
        ..row(
            "mailgun",
            "Mailgun",
            Recipe {
                signature: Place::Field(&["signature", "signature"]),
                timestamp: Some(TimeAt {
                    place: Place::Field(&["signature", "timestamp"]),
                    unit: Unit::Seconds,
                    past_s: Some(DAY_S),
                }),
                id: Some(IdAt {
                    place: Place::Field(&["signature", "token"]),
                    required: true,
                }),
                signed: &[Part::Timestamp, Part::Id],
                ..over_body("", "", Algorithm::HmacSha256, Encoding::Hex)
            },
        )
    },
    Preset {
        delivery: Delivery::Body,
        challenge: Some(Challenge::Hub),
        ..row(
            "meta",
            "Meta (WhatsApp, Messenger, Instagram)",
            over_body(
                "x-hub-signature-256",
                "sha256=",
                Algorithm::HmacSha256,
                Encoding::Hex,
            ),
        )
    },
    Preset {
        secret: SecretForm::EcdsaKey,
        delivery: Delivery::Fields(&[&[&["sg_event_id"]]]),
        checked: Checked::Library("@sendgrid/eventwebhook"),
        ..row(
            "sendgrid",
            "SendGrid event webhook",
            Recipe {
                timestamp: time(
                    "x-twilio-email-event-webhook-timestamp",
                    Unit::Seconds,
                    Some(DAY_S),
                ),
                signed: TIME_BODY,
                ..over_body(
                    "x-twilio-email-event-webhook-signature",
                    "",
                    Algorithm::EcdsaP256,
                    Encoding::Base64,
                )
            },
        )
    },
    Preset {
        checked: Checked::Library("@shopify/shopify-api"),
        ..row(
            "shopify",
            "Shopify",
            Recipe {
                id: id("x-shopify-webhook-id", true),
                ..over_body(
                    "x-shopify-hmac-sha256",
                    "",
                    Algorithm::HmacSha256,
                    Encoding::Base64,
                )
            },
        )
    },
    Preset {
        delivery: Delivery::Fields(&[&[&["event_id"]], &[&["trigger_id"]]]),
        challenge: Some(Challenge::SlackUrl),
        checked: Checked::Library("slack_sdk, @slack/bolt"),
        ..row(
            "slack",
            "Slack",
            Recipe {
                timestamp: time("x-slack-request-timestamp", Unit::Seconds, None),
                signed: V0_TIME_BODY,
                ..over_body(
                    "x-slack-signature",
                    "v0=",
                    Algorithm::HmacSha256,
                    Encoding::Hex,
                )
            },
        )
    },
    Preset {
        secret: SecretForm::Whsec,
        maker: Maker::Owner,
        checked: Checked::Library("standardwebhooks"),
        ..row(
            "standard_webhooks",
            "Standard Webhooks v1",
            STANDARD_WEBHOOKS,
        )
    },
    Preset {
        secret: SecretForm::Ed25519Key,
        ..row(
            "standard_webhooks_v1a",
            "Standard Webhooks v1a",
            three_headers(WEBHOOK_HEADERS, "v1a", Algorithm::Ed25519),
        )
    },
    Preset {
        delivery: Delivery::Fields(&[&[&["id"]]]),
        checked: Checked::Library("stripe"),
        ..row("stripe", "Stripe", pairs("stripe-signature"))
    },
    Preset {
        secret: SecretForm::Whsec,
        checked: Checked::Library("svix"),
        ..row(
            "svix",
            "Svix",
            three_headers(
                ["svix-id", "svix-timestamp", "svix-signature"],
                "v1",
                Algorithm::HmacSha256,
            ),
        )
    },
    Preset {
        delivery: Delivery::Fields(&[&[&["MessageSid"], &["SmsStatus"], &["MessageStatus"]]]),
        checked: Checked::Library("twilio"),
        ..row(
            "twilio",
            "Twilio",
            Recipe {
                id: id("i-twilio-idempotency-token", false),
                signed: &[Part::Url(UrlForm::AnyPort), Part::Fields],
                ..over_body(
                    "x-twilio-signature",
                    "",
                    Algorithm::HmacSha1,
                    Encoding::Base64,
                )
            },
        )
    },
    Preset {
        delivery: Delivery::Body,
        challenge: Some(Challenge::Crc),
        ..row(
            "twitter",
            "X (Twitter)",
            over_body(
                "x-twitter-webhooks-signature",
                "sha256=",
                Algorithm::HmacSha256,
                Encoding::Base64,
            ),
        )
    },
    Preset {
        delivery: Delivery::Fields(&[&[&["event_id"]]]),
        maker: Maker::Owner,
        ..row(
            "typeform",
            "Typeform",
            over_body(
                "typeform-signature",
                "sha256=",
                Algorithm::HmacSha256,
                Encoding::Base64,
            ),
        )
    },
    row(
        "zendesk",
        "Zendesk",
        Recipe {
            timestamp: time(
                "x-zendesk-webhook-signature-timestamp",
                Unit::Rfc3339,
                Some(HOUR_S),
            ),
            id: id("x-zendesk-webhook-invocation-id", false),
            signed: TIME_BODY,
            ..over_body(
                "x-zendesk-webhook-signature",
                "",
                Algorithm::HmacSha256,
                Encoding::Base64,
            )
        },
    ),
];
