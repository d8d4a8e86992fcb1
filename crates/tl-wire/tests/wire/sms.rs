//! Text messages from form fields.

use tl_wire::sms::{Party, Sms, SmsError};

const SID: &str = "SM0123456789abcdef0123456789ABCDEF";

fn fields(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn a_whole_message() {
    let sms = Sms::from_fields(&fields(&[
        ("ToCountry", "US"),
        ("MessageSid", SID),
        ("SmsStatus", "received"),
        ("From", "+14155550123"),
        ("To", "72345"),
        ("Body", "Is the flat still free? \u{1f3e0}"),
        ("NumMedia", "1"),
        ("MediaUrl0", "https://media.example.com/1"),
    ]))
    .expect("message");
    assert_eq!(sms.from, Party::Phone("+14155550123".to_owned()));
    assert_eq!(sms.to, Party::ShortCode("72345".to_owned()));
    assert_eq!(sms.body, "Is the flat still free? \u{1f3e0}");
    assert_eq!(sms.media_urls, ["https://media.example.com/1"]);
    assert_eq!(sms.delivery_key(), format!("{SID}:received"));
}

#[test]
fn one_field_changed() {
    let base = [
        ("MessageSid", SID),
        ("From", "+14155550123"),
        ("To", "+4930123456"),
        ("Body", "hello"),
    ];
    let long = "x".repeat(1601);
    let fits = "\u{e9}".repeat(1600);
    use SmsError::{Malformed, TooLong};
    let table: [(&str, &str, Option<SmsError>); 21] = [
        ("From", "ACME Ltd", None),
        ("From", "12345", None),
        ("From", "4155550123", Some(Malformed("From"))),
        ("From", "+0155550123", Some(Malformed("From"))),
        ("From", "+1415555", None),
        ("From", "+141555", Some(Malformed("From"))),
        ("From", "+1234567890123456", Some(Malformed("From"))),
        ("From", "+1415 5550123", Some(Malformed("From"))),
        ("From", "", Some(Malformed("From"))),
        ("From", "a\r\nb", Some(Malformed("From"))),
        ("To", "+1<script>", Some(Malformed("To"))),
        ("MessageSid", "MM0123456789abcdef0123456789abcdef", None),
        (
            "MessageSid",
            "XX0123456789abcdef0123456789abcdef",
            Some(Malformed("MessageSid")),
        ),
        ("MessageSid", "SM0123", Some(Malformed("MessageSid"))),
        ("Body", &long, Some(TooLong)),
        ("Body", &fits, None),
        ("Body", "", None),
        ("SmsStatus", "re ceived", Some(Malformed("SmsStatus"))),
        ("NumMedia", "11", Some(Malformed("NumMedia"))),
        ("NumMedia", "-1", Some(Malformed("NumMedia"))),
        ("NumMedia", "2", Some(SmsError::Missing("MediaUrl"))),
    ];
    for (name, value, expected) in table {
        let mut pairs: Vec<(&str, &str)> = base
            .iter()
            .copied()
            .filter(|(given, _)| *given != name)
            .collect();
        pairs.push((name, value));
        assert_eq!(
            Sms::from_fields(&fields(&pairs)).err(),
            expected,
            "{name}={value}"
        );
    }
    for name in ["MessageSid", "From", "To"] {
        let without: Vec<(&str, &str)> = base
            .iter()
            .copied()
            .filter(|(given, _)| *given != name)
            .collect();
        let missing = Sms::from_fields(&fields(&without));
        assert_eq!(missing, Err(SmsError::Missing(name)));
        let mut twice = base.to_vec();
        twice.push((name, "+4930123456"));
        let duplicate = Sms::from_fields(&fields(&twice));
        assert_eq!(duplicate, Err(SmsError::Duplicate(name)));
    }
}
