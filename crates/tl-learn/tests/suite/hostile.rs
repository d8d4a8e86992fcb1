//! Whatever a text holds, nothing panics, time stays in proportion, and every span can be cut out of the text.

use tl_learn::classify::{Classifier, Example, TrainOptions};
use tl_learn::mail_text::zones_from;
use tl_learn::recognise::{
    Found, companies, dates, emails, money, normalise_email, normalise_phone, phones, quantities,
    urls,
};
use tl_learn::signature::signature_fields;

use crate::context;

fn check_spans<T>(text: &str, found: &[Found<T>]) {
    let mut end = 0;
    for f in found {
        assert!(
            f.span.start >= end && f.span.end > f.span.start,
            "spans ascend without overlap"
        );
        assert!(
            text.get(f.span.start..f.span.end).is_some(),
            "spans lie on character boundaries"
        );
        end = f.span.end;
    }
}

fn read_everything(text: &str) {
    read_in(text, &["", "DE", "US"]);
}

fn read_in(text: &str, countries: &[&str]) {
    for country in countries {
        let context = context(country);
        check_spans(text, &emails(text));
        check_spans(text, &phones(text, &context));
        check_spans(text, &urls(text));
        check_spans(text, &money(text, &context));
        check_spans(text, &dates(text, &context));
        check_spans(text, &quantities(text, &context));
        check_spans(text, &companies(text));
        let fields = signature_fields(text, &context);
        for field in [
            &fields.name,
            &fields.title,
            &fields.company,
            &fields.phone,
            &fields.email,
            &fields.url,
        ] {
            check_spans(text, field.as_slice());
        }
        normalise_phone(text, Some(country));
    }
    normalise_email(text);
    let zones = zones_from(text, text);
    let forwarded = zones.forwarded.map(|f| f.body);
    for range in [Some(zones.newest), zones.signature, zones.quoted, forwarded]
        .into_iter()
        .flatten()
    {
        assert!(
            text.get(range).is_some(),
            "zones lie on character boundaries"
        );
    }
}

const ODD: &[&str] = &[
    "",
    " ",
    "\0",
    "\n",
    "\r\n\r\n",
    "🚚",
    "👩‍👩‍👧‍👦 €5 👩‍👩‍👧‍👦",
    "مرحبا ١٢٣ ريال 5 €",
    "\u{202e}moc.elpmaxe@a 12.03.2026\u{202c}",
    "İİİ@İİ.com İSTANBUL GmbH",
    "ﬁ@ß.de",
    "+",
    "(",
    "++49",
    "(+",
    "00",
    "@",
    "@@@@",
    "€",
    "€€€",
    "$-",
    "1.",
    ".1.",
    "1,,2 €",
    "99999999999999999999999999999999 €",
    "€99999999999999999999999999 bn",
    "1'",
    "00.00.0000",
    "99/99/9999",
    "in 999 years",
    "in 999 Jahren",
    "vor 999 Jahren",
    "999 years ago",
    "-----",
    "-- ",
    "--\n--",
    "> ",
    ">>>>",
    "From:",
    "From: \nTo:\nSubject:",
    "Am schrieb:",
    "On wrote:",
    "On 2026 wrote:\n",
    "---------- Forwarded message ---------",
    "Begin forwarded message:\n\nFrom:",
    "Best regards",
    "Sent from my ",
    "GmbH",
    " & Co. KG",
    "Ltd Ltd Ltd",
    "A Ltd B Ltd",
    "\u{feff}",
    "a\u{300}\u{300}\u{300} 5 kg",
    "12\u{a0}000\u{202f}€",
    "https://",
    "www.",
    "http://[::1",
    "https://a@b@c.de",
    "\u{1f1e9}\u{1f1ea} 030 1234567",
];

#[test]
fn odd_texts() {
    for text in ODD {
        read_everything(text);
        for other in ODD {
            read_everything(&format!("{text}{other}"));
        }
    }
}

/// Every prefix and suffix of a rich text: all the ways an expression can be cut off.
#[test]
fn every_cut_of_a_rich_text() {
    let text = "Hi Anna,\nwe need 40 trucks (€1.250,50–2.000 each) by Mon., 16 March 2026 or in 3 days. Call +49 (0)30 \
                / 12-34 ext. 5, mail ä.b@müller.de or www.müller.de/x.\nBest regards,\nJörg Maß\nCEO | Maß & Söhne GmbH \
                & Co. KG\n\nOn Tue, Mar 3, 2026 X <x@y.de> wrote:\n> CHF 1'250.- am 12. März\nVon: a\nAn: b\nBetreff: c";
    for (at, _) in text.char_indices() {
        read_everything(&text[..at]);
        read_everything(&text[at..]);
    }
}

#[test]
#[expect(
    clippy::disallowed_types,
    reason = "the test measures time; the crate never does"
)]
fn a_million_bytes_of_anything_take_time_in_proportion() {
    let pieces = [
        "a",
        "@",
        "a@",
        "1",
        "1 ",
        "1.",
        "1,",
        "+",
        "+4",
        "(",
        "12.",
        "€",
        "€1-",
        "-",
        ">",
        "> ",
        "\n",
        "\n>",
        "next ",
        "Monday, ",
        "in 3 ",
        "GmbH ",
        "A ",
        "A & ",
        "on ",
        "On ",
        "wrote:\n",
        "From: a@b.de\n",
        "http://",
        "a.",
        "www.",
        "2026-",
        "12 000 ",
        "\u{300}",
        "🚚",
        "\0",
        "(1",
        " / ",
        "1 / ",
        "Best regards\n",
        "-- \n",
        "a.b.",
    ];
    let started = std::time::Instant::now();
    for piece in pieces {
        let text = piece.repeat(20_000 / piece.len());
        read_in(&text, &["DE"]);
    }
    read_in(&"word 12 a@b.de\n".repeat((1 << 20) / 15), &["DE"]);
    let took = started.elapsed();
    // Unoptimised and on a busy machine; anything quadratic would take hours.
    assert!(took < std::time::Duration::from_secs(120), "{took:?}");
}

#[test]
fn the_classifier_takes_any_text() {
    let example = |text: &str, label: &str| Example {
        text: text.into(),
        label: label.into(),
    };
    let mut examples: Vec<Example> = (0..12)
        .map(|i| example(&format!("text {i} 🚚\0 مرحبا"), ["a", "b"][i % 2]))
        .collect();
    examples.push(example(&"long ".repeat(200_000), "a"));
    examples.push(example(&"x".repeat(200_000), "b"));
    let model = Classifier::train(&examples, &TrainOptions::default()).unwrap();
    for text in ODD
        .iter()
        .map(|t| t.to_string())
        .chain(["y".repeat(1 << 20), "ab ".repeat(1 << 18)])
    {
        let said = model.predict(&text);
        assert!((0.0..=1.0).contains(&said.confidence) && said.scores.len() == 2);
    }
}
