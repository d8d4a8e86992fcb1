//! E-mail addresses, telephone numbers, web addresses and companies.

use tl_learn::recognise::{companies, emails, normalise_email, normalise_phone, phones, urls};

use crate::{Row, check};

#[test]
fn emails_in_text() {
    let rows: &[Row] = &[
        (
            "",
            "Write to Anna.Berg@Example.com please",
            "Anna.Berg@Example.com=anna.berg@example.com",
        ),
        (
            "",
            "a@b.de, c@d.fr; e@f.co.uk.",
            "a@b.de=a@b.de; c@d.fr=c@d.fr; e@f.co.uk=e@f.co.uk",
        ),
        (
            "",
            "<ops+alerts@sub.example.org>",
            "ops+alerts@sub.example.org=ops+alerts@sub.example.org",
        ),
        (
            "",
            "mailto:info@firma.at?subject=x",
            "info@firma.at=info@firma.at",
        ),
        (
            "",
            "'jens_o@example.net' sagte",
            "jens_o@example.net=jens_o@example.net",
        ),
        (
            "",
            "Kontakt: jürgen@müller-bau.de!",
            "jürgen@müller-bau.de=jürgen@müller-bau.de",
        ),
        ("", "twitter @handle and a @ b.com", ""),
        ("", "broken@ or @broken.com or x@y", ""),
        ("", "double@@example.com", ""),
        ("", "dots..twice@example.com", ""),
        (
            "",
            "ends in sentence john@doe.com.",
            "john@doe.com=john@doe.com",
        ),
        ("", "john@doe.com-", "john@doe.com=john@doe.com"),
        (
            "",
            "(sales@acme-trading.io)",
            "sales@acme-trading.io=sales@acme-trading.io",
        ),
        ("", "x@1.2.3.4", ""),
    ];
    check(rows, |text, _| emails(text), String::clone);
}

#[test]
fn one_written_form_of_an_email() {
    let rows: &[(&str, Option<&str>)] = &[
        ("  Anna@Example.COM ", Some("anna@example.com")),
        ("a.b-c+d@x-y.example.org", Some("a.b-c+d@x-y.example.org")),
        ("ÄNNE@Straße.de", Some("änne@straße.de")),
        ("anna@xn--mller-kva.de", Some("anna@xn--mller-kva.de")),
        ("anna", None),
        ("anna@example", None),
        ("@example.com", None),
        ("anna@", None),
        ("anna@@example.com", None),
        ("anna@exa mple.com", None),
        ("anna @example.com", None),
        ("Anna <anna@example.com>", None),
        (".anna@example.com", None),
        ("anna.@example.com", None),
        ("an..na@example.com", None),
        ("anna@-example.com", None),
        ("anna@example..com", None),
        ("anna@example.c", None),
        ("anna@10.0.0.1", None),
        ("anna@example.com\0", None),
        ("anna\u{200b}@example.com", None),
        ("anna\r\nBcc:x@example.com", None),
        ("", None),
    ];
    for (text, expected) in rows {
        assert_eq!(normalise_email(text).as_deref(), *expected, "{text:?}");
    }
    assert_eq!(
        normalise_email(&format!("{}@example.com", "a".repeat(65))),
        None
    );
}

#[test]
fn one_written_form_of_a_phone_number() {
    let rows: &[(&str, &str, Option<&str>)] = &[
        ("DE", "030 1234567", Some("+49301234567")),
        ("DE", "0171/123 45 67", Some("+491711234567")),
        ("DE", "+49 (0)30 / 1234-567", Some("+49301234567")),
        ("DE", "+49 030 1234567", Some("+49301234567")),
        ("", "+49 30 1234567", Some("+49301234567")),
        ("", "0049 30 1234567", Some("+49301234567")),
        ("DE", "1234567", None),
        ("", "030 1234567", None),
        ("AT", "0664 1234567", Some("+436641234567")),
        ("CH", "044 668 18 00", Some("+41446681800")),
        ("CH", "446681800", Some("+41446681800")),
        ("FR", "01 42 68 53 00", Some("+33142685300")),
        ("FR", "+33 (0)1 42 68 53 00", Some("+33142685300")),
        ("FR", "06 12 34 56", None),
        ("GB", "020 7946 0958", Some("+442079460958")),
        ("GB", "07911 123456", Some("+447911123456")),
        ("GB", "+44 (0) 20 7946 0958", Some("+442079460958")),
        ("gb", "00 44 20 7946 0958", Some("+442079460958")),
        ("IE", "01 234 5678", Some("+35312345678")),
        ("US", "(415) 555-2671", Some("+14155552671")),
        ("US", "1-415-555-2671", Some("+14155552671")),
        ("US", "415.555.2671 x12", Some("+14155552671")),
        ("US", "415 555 2671 ext. 9", Some("+14155552671")),
        ("US", "011 49 30 1234567", Some("+49301234567")),
        ("US", "115 555 2671", None),
        ("US", "415 155 2671", None),
        ("CA", "(604) 555-0123", Some("+16045550123")),
        ("SE", "08-123 456 78", Some("+46812345678")),
        ("SE", "070-123 45 67", Some("+46701234567")),
        ("NO", "22 12 34 56", Some("+4722123456")),
        ("DK", "32 12 34 56", Some("+4532123456")),
        ("DK", "32 12 34 5", None),
        ("FI", "040 123 4567", Some("+358401234567")),
        ("NL", "020-123 4567", Some("+31201234567")),
        ("BE", "02 123 45 67", Some("+3221234567")),
        ("ES", "612 34 56 78", Some("+34612345678")),
        ("PT", "912 345 678", Some("+351912345678")),
        ("IT", "02 1234 5678", Some("+390212345678")),
        ("IT", "347 123 4567", Some("+393471234567")),
        ("PL", "601 234 567", Some("+48601234567")),
        ("IN", "098765 43210", Some("+919876543210")),
        ("IN", "9876543210", Some("+919876543210")),
        ("HU", "06 1 234 5678", Some("+3612345678")),
        ("AU", "(02) 9123 4567", Some("+61291234567")),
        ("RU", "8 (495) 123-45-67", Some("+74951234567")),
        ("JP", "03-1234-5678", Some("+81312345678")),
        ("BR", "(11) 91234-5678", Some("+5511912345678")),
        ("", "tel:+1-415-555-2671", Some("+14155552671")),
        ("", "+999 123 4567", None),
        ("", "+0 123 4567", None),
        ("", "+299 123456", Some("+299123456")),
        ("DE", "030 12a4567", None),
        ("DE", "call me", None),
        ("DE", "", None),
        ("XX", "030 1234567", None),
    ];
    for (country, text, expected) in rows {
        let country = (!country.is_empty()).then_some(*country);
        assert_eq!(
            normalise_phone(text, country).as_deref(),
            *expected,
            "{country:?} {text:?}"
        );
    }
}

#[test]
fn phones_in_text() {
    let rows: &[Row] = &[
        (
            "DE",
            "Rufen Sie an: 030 1234567.",
            "030 1234567=+49301234567",
        ),
        (
            "DE",
            "Tel.: +49 (0)30 / 1234-567, danke",
            "+49 (0)30 / 1234-567=+49301234567",
        ),
        (
            "DE",
            "Mobil 0171 7654321 oder Büro 030/1234567",
            "0171 7654321=+491717654321; 030/1234567=+49301234567",
        ),
        (
            "",
            "Reach me at +1 415 555 2671 today",
            "+1 415 555 2671=+14155552671",
        ),
        (
            "US",
            "Call (415) 555-2671 or 415-555-2672.",
            "(415) 555-2671=+14155552671; 415-555-2672=+14155552672",
        ),
        ("US", "cell 4155552671", "4155552671=+14155552671"),
        ("US", "our order 4155552671 is late", ""),
        ("US", "415-555-2671 x204", "415-555-2671=+14155552671"),
        (
            "GB",
            "020 7946 0958 / 07911 123456",
            "020 7946 0958=+442079460958; 07911 123456=+447911123456",
        ),
        ("FR", "Tél : 01 42 68 53 00", "01 42 68 53 00=+33142685300"),
        ("CH", "044 668 18 00", "044 668 18 00=+41446681800"),
        ("DK", "ring på 32 12 34 56", "32 12 34 56=+4532123456"),
        ("ES", "móvil: 612 345 678", "612 345 678=+34612345678"),
        ("DE", "am 12.03.2026 um 10:30", ""),
        ("DE", "Server 192.168.100.200", ""),
        ("DE", "IBAN DE89 3704 0044 0532 0130 00", ""),
        ("DK", "konto 1234 5678", ""),
        ("DE", "1.234.567 Stück", ""),
        ("US", "Invoice 2024-0012345", ""),
        ("DE", "Rechnung Nr. 0301234567", ""),
        ("US", "$4155552671", ""),
        ("US", "2025-2026", ""),
        ("US", "card 4111 1111 1111 1111", ""),
        ("DE", "Fax 0049 30 1234567", "0049 30 1234567=+49301234567"),
        (
            "DE",
            "Durchwahl (+49) 30 1234567",
            "(+49) 30 1234567=+49301234567",
        ),
        ("US", "id 12345 67890", ""),
        ("", "030 1234567", ""),
    ];
    check(rows, phones, String::clone);
}

#[test]
fn urls_in_text() {
    let rows: &[Row] = &[
        (
            "",
            "see https://example.com/a?b=1#c.",
            "https://example.com/a?b=1#c=https://example.com/a?b=1#c",
        ),
        (
            "",
            "(http://example.com)",
            "http://example.com=http://example.com",
        ),
        (
            "",
            "www.firma.de, danke",
            "www.firma.de=https://www.firma.de",
        ),
        (
            "",
            "visit acme.io/pricing now",
            "acme.io/pricing=https://acme.io/pricing",
        ),
        ("", "the report.pdf and main.rs", ""),
        ("", "mail me: a@acme.com", ""),
        ("", "javascript://alert", ""),
        ("", "ftp://example.com/x", ""),
        ("", "It is done.In the end", ""),
        (
            "",
            "<https://exämple.de/straße>",
            "https://exämple.de/straße=https://exämple.de/straße",
        ),
    ];
    check(rows, |text, _| urls(text), String::clone);
}

#[test]
fn companies_with_their_legal_form() {
    let rows: &[Row] = &[
        (
            "",
            "I work at Nordwind Logistics Ltd. in Leeds",
            "Nordwind Logistics Ltd.=Nordwind Logistics Ltd.",
        ),
        (
            "",
            "Müller & Söhne GmbH & Co. KG",
            "Müller & Söhne GmbH & Co. KG=Müller & Söhne GmbH & Co. KG",
        ),
        (
            "",
            "Die Hansa Kontor AG liefert",
            "Hansa Kontor AG=Hansa Kontor AG",
        ),
        (
            "",
            "wir, die Blau-Weiß GmbH, suchen",
            "Blau-Weiß GmbH=Blau-Weiß GmbH",
        ),
        ("", "Globex Inc", "Globex Inc=Globex Inc"),
        (
            "",
            "Globex, Inc. and Initech LLC",
            "Globex, Inc.=Globex, Inc.; Initech LLC=Initech LLC",
        ),
        (
            "",
            "Transports Dubois SARL",
            "Transports Dubois SARL=Transports Dubois SARL",
        ),
        (
            "",
            "Officine Rossi S.p.A.",
            "Officine Rossi S.p.A.=Officine Rossi S.p.A.",
        ),
        (
            "",
            "Jansen Techniek B.V.",
            "Jansen Techniek B.V.=Jansen Techniek B.V.",
        ),
        ("", "Fjord Energi AS", "Fjord Energi AS=Fjord Energi AS"),
        ("", "Skog Möbler AB", "Skog Möbler AB=Skog Möbler AB"),
        ("", "Kivi Oy", "Kivi Oy=Kivi Oy"),
        (
            "",
            "Bank of Example plc",
            "Bank of Example plc=Bank of Example plc",
        ),
        ("", "PLEASE REPLY AS SOON AS POSSIBLE", ""),
        ("", "a GmbH is a legal form", ""),
        ("", "3M Example Corp.", "3M Example Corp.=3M Example Corp."),
        ("", "Head of Sales, Acme Ltd", "Acme Ltd=Acme Ltd"),
        ("", "Example\nLtd", ""),
    ];
    check(rows, |text, _| companies(text), String::clone);
}
