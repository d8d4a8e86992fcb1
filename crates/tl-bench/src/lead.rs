//! The lead of the workload: what it says, what it is called, how it is signed.

use aws_lc_rs::{digest, hmac};

/// Header of the signature.
pub const SIGNATURE: &str = "x-signature";
/// What stands before the hexadecimal digits.
pub const PREFIX: &str = "sha256=";

const TERRITORIES: [&str; 4] = ["dach", "nordics", "uki", "rest"];
const INTENTS: [&str; 4] = ["demo", "pricing", "support", "other"];

/// The id of the n-th lead of a run. It begins with a digest, so that ids arrive in no order, as the ids of real
/// deliveries do: ids in order flatter every index.
pub fn id(run: &str, n: u64) -> String {
    let digest = digest::digest(&digest::SHA256, format!("{run}/{n}").as_bytes());
    format!("{}-{run}-{n}", hex::encode(&digest.as_ref()[..8]))
}

/// Which lead of the run an id belongs to.
pub fn number(run: &str, id: &str) -> Option<usize> {
    let (rest, n) = id.rsplit_once('-')?;
    let (_, of_run) = rest.split_once('-')?;
    (of_run == run).then(|| n.parse().ok()).flatten()
}

/// The body of the n-th lead, about 635 bytes; the same for the same run and number.
pub fn body(run: &str, n: u64) -> String {
    let (employees, budget) = (n * 37 % 450, n * 911 % 48_000);
    let (territory, intent) = (TERRITORIES[n as usize % 4], INTENTS[n as usize / 4 % 4]);
    let id = id(run, n);
    format!(
        r#"{{"external_id":"{id}","correlation_id":"corr-{run}-{n}","source":"web_form","sent_at":"2026-03-02T08:15:30Z","contact":{{"name":"Mira Lindqvist","role":"Head of dispatch","email":"Mira.Lindqvist.{n}@Northline.Example","phone":"+46 8 123 456 78","company":"Northline Cold Chain AB"}},"lead":{{"intent":"{intent}","employees":{employees},"budget":{budget},"territory":"{territory}","campaign":"spring-fair","message":"Our planners move eighty trailers between four depots and still do it with spreadsheets and the phone. We would like to see how late pick-ups and returns are handled, and what it takes to connect our warehouse system."}}}}"#
    )
}

/// A signing key of an endpoint's secret.
pub fn key(secret: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())
}

/// The value of the signature header for a body.
pub fn signature(key: &hmac::Key, body: &[u8]) -> String {
    format!("{PREFIX}{}", hex::encode(hmac::sign(key, body)))
}

/// Whether a signature header fits a body.
pub fn is_signed(key: &hmac::Key, body: &[u8], header: &str) -> bool {
    let digits = header
        .strip_prefix(PREFIX)
        .and_then(|d| hex::decode(d).ok());
    digits.is_some_and(|d| hmac::verify(key, body, &d).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lead_has_the_size_of_the_workload_and_its_own_id() {
        for n in [0, 1, 17, 99_999] {
            let body = body("r18f3", n);
            assert!(
                (620..=650).contains(&body.len()),
                "{n}: {} bytes",
                body.len()
            );
            let json: serde_json::Value = serde_json::from_str(&body).expect("JSON");
            let id = json["external_id"].as_str().expect("an id");
            assert_eq!(
                (number("r18f3", id), number("other", id)),
                (Some(n as usize), None)
            );
        }
    }

    #[test]
    fn a_signature_fits_one_body_and_one_secret() {
        let (ours, theirs) = (key("a"), key("b"));
        let header = signature(&ours, b"text");
        assert!(is_signed(&ours, b"text", &header));
        let others = [
            (&ours, "Text", header.as_str()),
            (&theirs, "text", &header),
            (&ours, "text", "sha256=00"),
            (&ours, "text", ""),
        ];
        for (key, body, header) in others {
            assert!(!is_signed(key, body.as_bytes(), header), "{body} {header}");
        }
    }
}
