//! Whether the owner of an address wants to be written to.

use crate::digest::{Digest, hex, keyed};

/// What the owner of an address said about being written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// `sms` or `email`.
    pub channel: &'static str,
    /// The address in its normal form.
    pub address: String,
    /// What they said.
    pub wish: Wish,
}

/// Stop, or go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Nothing more to this address.
    Stop,
    /// The address may be written to again.
    Start,
}

/// Words with which people stop messages, and with which they let them come again: those that carriers and providers of
/// text messages agree on (CTIA Messaging Principles and Best Practices; Twilio's default keywords).
const STOP: &[&str] = &[
    "stop",
    "stopall",
    "unsubscribe",
    "cancel",
    "end",
    "quit",
    "optout",
    "revoke",
];
const START: &[&str] = &["start", "yes", "unstop"];

impl Wish {
    /// What a text message says that consists of one of these words alone, however it is written.
    pub fn of(text: &str) -> Option<Wish> {
        let letters = text.chars().filter(|c| c.is_alphanumeric());
        // Longer than any of the words is enough to tell.
        let word: String = letters.flat_map(char::to_lowercase).take(20).collect();
        let is_one_of = |words: &[&str]| words.contains(&word.as_str());
        if is_one_of(STOP) {
            Some(Wish::Stop)
        } else if is_one_of(START) {
            Some(Wish::Start)
        } else {
            None
        }
    }
}

/// Under what an address of a channel is suppressed: a keyed digest, so that it can be looked up without being shown.
/// `address` is in its normal form.
pub fn subject(tenant_key: &[u8; 32], channel: &str, address: &str) -> Digest {
    let parts: [&[u8]; 3] = [b"suppression", channel.as_bytes(), address.as_bytes()];
    keyed(tenant_key, &parts)
}

/// What stands in the audit in place of a suppressed address: it tells addresses apart and does not hold them.
pub fn object(channel: &str, subject: &Digest) -> String {
    format!("{channel}:{}", &hex(subject)[..12])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_alone_is_a_wish() {
        let table = [
            ("STOP", Some(Wish::Stop)),
            (" Stop. ", Some(Wish::Stop)),
            ("\u{201c}stop\u{201d}", Some(Wish::Stop)),
            ("Stop all", Some(Wish::Stop)),
            ("unsubscribe!", Some(Wish::Stop)),
            ("opt out", Some(Wish::Stop)),
            ("OPT-OUT", Some(Wish::Stop)),
            ("STOP  ALL", Some(Wish::Stop)),
            ("START", Some(Wish::Start)),
            ("yes", Some(Wish::Start)),
            ("please stop", None),
            ("stop by at nine", None),
            ("nonstop", None),
            ("help", None),
            ("", None),
            ("...", None),
        ];
        for (text, wish) in table {
            assert_eq!(Wish::of(text), wish, "{text}");
        }
    }

    #[test]
    fn an_address_is_suppressed_for_its_tenant_and_channel_alone() {
        let one = subject(&[1; 32], "sms", "+15550100");
        assert_eq!(one, subject(&[1; 32], "sms", "+15550100"));
        for other in [
            subject(&[2; 32], "sms", "+15550100"),
            subject(&[1; 32], "email", "+15550100"),
            subject(&[1; 32], "sms", "+15550101"),
        ] {
            assert_ne!(one, other);
        }
    }
}
