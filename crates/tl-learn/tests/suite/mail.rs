//! Parts of a mail and fields of a signature.

use tl_learn::mail_text::{Zones, zones, zones_from};
use tl_learn::signature::{SignatureFields, signature_fields};

use crate::context;

struct Mail {
    text: &'static str,
    newest: &'static str,
    /// First line of the signature.
    signature: Option<&'static str>,
    /// First line of the quoted part.
    quoted: Option<&'static str>,
}

const fn mail(
    text: &'static str,
    newest: &'static str,
    signature: Option<&'static str>,
    quoted: Option<&'static str>,
) -> Mail {
    Mail {
        text,
        newest,
        signature,
        quoted,
    }
}

const MAILS: &[Mail] = &[
    mail("Just one line.", "Just one line.", None, None),
    mail(
        "\n\n  Hello,\nis it there?  \n\n",
        "Hello,\nis it there?",
        None,
        None,
    ),
    mail(
        "Yes, please.\n\nOn Mon, Mar 9, 2026 at 10:12 AM Anna Berg <anna@example.com> wrote:\n> Shall we?\n",
        "Yes, please.",
        None,
        Some("On Mon, Mar 9, 2026 at 10:12 AM Anna Berg <anna@example.com> wrote:"),
    ),
    mail(
        "Yes.\n\nOn Mon, Mar 9, 2026 at 10:12 AM Anna Berg\n<anna@example.com> wrote:\n\nShall we?\n",
        "Yes.",
        None,
        Some("On Mon, Mar 9, 2026 at 10:12 AM Anna Berg"),
    ),
    mail(
        "Ja, gern.\n\nAm 09.03.2026 um 10:12 schrieb Anna Berg <anna@example.com>:\n> Sollen wir?",
        "Ja, gern.",
        None,
        Some("Am 09.03.2026 um 10:12 schrieb Anna Berg <anna@example.com>:"),
    ),
    mail(
        "Oui.\n\nLe lun. 9 mars 2026 à 10:12, Anna Berg <anna@example.com> a écrit :\n> On y va ?",
        "Oui.",
        None,
        Some("Le lun. 9 mars 2026 à 10:12, Anna Berg <anna@example.com> a écrit :"),
    ),
    mail(
        "Sí.\n\nEl lun, 9 mar 2026 a las 10:12, Anna (<anna@example.com>) escribió:\n> ¿Vamos?",
        "Sí.",
        None,
        Some("El lun, 9 mar 2026 a las 10:12, Anna (<anna@example.com>) escribió:"),
    ),
    mail(
        "Sì.\n\nIl giorno lun 9 mar 2026 alle ore 10:12 Anna <anna@example.com> ha scritto:\n> Andiamo?",
        "Sì.",
        None,
        Some("Il giorno lun 9 mar 2026 alle ore 10:12 Anna <anna@example.com> ha scritto:"),
    ),
    mail(
        "Ja.\n\nOp ma 9 mrt 2026 om 10:12 schreef Anna <anna@example.com>:\n> Zullen we?",
        "Ja.",
        None,
        Some("Op ma 9 mrt 2026 om 10:12 schreef Anna <anna@example.com>:"),
    ),
    mail(
        "Ja.\n\nDen mån 9 mars 2026 kl 10:12 skrev Anna <anna@example.com>:\n> Ska vi?",
        "Ja.",
        None,
        Some("Den mån 9 mars 2026 kl 10:12 skrev Anna <anna@example.com>:"),
    ),
    mail(
        "Fine.\n\nAnna Berg <anna@example.com> wrote:\n> Shall we?",
        "Fine.",
        None,
        Some("Anna Berg <anna@example.com> wrote:"),
    ),
    mail(
        "Done.\n\n-----Original Message-----\nFrom: Anna\nSent: Monday\nTo: Ben\nSubject: Re: x\n\nShall we?",
        "Done.",
        None,
        Some("-----Original Message-----"),
    ),
    mail(
        "Erledigt.\n\n-----Ursprüngliche Nachricht-----\nVon: Anna\nGesendet: Montag\nAn: Ben\nBetreff: x\n\nText",
        "Erledigt.",
        None,
        Some("-----Ursprüngliche Nachricht-----"),
    ),
    mail(
        "Gern.\n\n________________________________\nVon: Anna <a@b.de>\nGesendet: Montag\nAn: Ben\nBetreff: x\n\nText",
        "Gern.",
        None,
        Some("________________________________"),
    ),
    mail(
        "Bien.\n\nDe : Anna <a@b.fr>\nEnvoyé : lundi 9 mars\nÀ : Ben\nObjet : x\n\nTexte",
        "Bien.",
        None,
        Some("De : Anna <a@b.fr>"),
    ),
    mail(
        "Ok.\n\n*From:* Anna <a@b.de>\n*Sent:* Monday\n*To:* Ben\n*Subject:* x\n\nText",
        "Ok.",
        None,
        Some("*From:* Anna <a@b.de>"),
    ),
    mail(
        "Ok.\n\n2026-03-09 10:12 GMT+01:00 Anna Berg <anna@example.com>:\n> Shall we?",
        "Ok.",
        None,
        Some("2026-03-09 10:12 GMT+01:00 Anna Berg <anna@example.com>:"),
    ),
    mail(
        "Да.\n\nпн, 9 мар. 2026 г. в 10:12, Anna <anna@example.com>:\n\nИдём?",
        "Да.",
        None,
        Some("пн, 9 мар. 2026 г. в 10:12, Anna <anna@example.com>:"),
    ),
    mail(
        "Prose right above.\nOn Mar 9, 2026, Anna <anna@example.com> wrote:\nShall we?",
        "Prose right above.",
        None,
        Some("On Mar 9, 2026, Anna <anna@example.com> wrote:"),
    ),
    mail(
        "Yes.\n\nAnna Berg wrote\n> Shall we?",
        "Yes.",
        None,
        Some("Anna Berg wrote"),
    ),
    mail(
        "FYI\n\n\nAnna Berg/HAM\n09.03.2026 10:12\nAn: Ben Ek/HAM\nKopie:\nThema: Angebot\n\nHier ist es.",
        "FYI",
        None,
        Some("Anna Berg/HAM"),
    ),
    mail(
        "Done!\n\nCheers 🎉\nAnna\n\n—————\nAnna Berg\nSales Manager",
        "Done!",
        Some("Cheers 🎉"),
        None,
    ),
    mail(
        "One:\n----\nIt is faster.\n\nTwo:\n----\nIt is cheaper.",
        "One:\n----\nIt is faster.\n\nTwo:\n----\nIt is cheaper.",
        None,
        None,
    ),
    mail(
        ">From here it went well.\n\n> old",
        ">From here it went well.",
        None,
        Some("> old"),
    ),
    mail("Agreed.\n> a\n> b\n", "Agreed.", None, Some("> a")),
    mail(
        "> Shall we?\n\nYes, let us.\n",
        "Yes, let us.",
        None,
        Some("> Shall we?"),
    ),
    mail(
        "On 9 Mar 2026, Anna <a@b.de> wrote:\n> Shall we?\n> Now?\nYes, now.\n> And then?\nThen not.\n",
        "Yes, now.\n> And then?\nThen not.",
        None,
        Some("On 9 Mar 2026, Anna <a@b.de> wrote:"),
    ),
    mail(
        "On Monday we wrote: nothing.\nThat is all.",
        "On Monday we wrote: nothing.\nThat is all.",
        None,
        None,
    ),
    mail(
        "Transport needed.\nFrom: Berlin\nTo: Munich\nDate: 12 March\nPallets: 4",
        "Transport needed.\nFrom: Berlin\nTo: Munich\nDate: 12 March\nPallets: 4",
        None,
        None,
    ),
    mail(
        "See you.\n\nBest regards,\nAnna Berg\nAcme Ltd",
        "See you.",
        Some("Best regards,"),
        None,
    ),
    mail(
        "Bis dann.\n\nMit freundlichen Grüßen\ni. A. Jörg Maß\nMaß GmbH",
        "Bis dann.",
        Some("Mit freundlichen Grüßen"),
        None,
    ),
    mail(
        "À bientôt.\n\nCordialement,\nLuc Petit",
        "À bientôt.",
        Some("Cordialement,"),
        None,
    ),
    mail(
        "Hasta luego.\nUn saludo,\nEva",
        "Hasta luego.",
        Some("Un saludo,"),
        None,
    ),
    mail(
        "A presto.\n\nCordiali saluti\nMarco",
        "A presto.",
        Some("Cordiali saluti"),
        None,
    ),
    mail(
        "Tot dan.\n\nMet vriendelijke groet,\nJan",
        "Tot dan.",
        Some("Met vriendelijke groet,"),
        None,
    ),
    mail(
        "Vi ses.\n\nMed vänliga hälsningar\nBo",
        "Vi ses.",
        Some("Med vänliga hälsningar"),
        None,
    ),
    mail(
        "See you.\n\n-- \nAnna Berg\nAcme",
        "See you.",
        Some("-- "),
        None,
    ),
    mail(
        "See you.\n\nCheers,\nAnna\n--\nAcme Ltd",
        "See you.",
        Some("Cheers,"),
        None,
    ),
    mail(
        "On my way.\n\nSent from my iPhone",
        "On my way.",
        Some("Sent from my iPhone"),
        None,
    ),
    mail(
        "Bin gleich da.\n\nVon meinem iPhone gesendet",
        "Bin gleich da.",
        Some("Von meinem iPhone gesendet"),
        None,
    ),
    mail(
        "Ok\n\nThanks,\nAnna\n\nSent from my iPad",
        "Ok",
        Some("Thanks,"),
        None,
    ),
    mail(
        "Thanks,\nI got the parcel. But the second one is missing and I need it by Friday at the latest, please.",
        "Thanks,\nI got the parcel. But the second one is missing and I need it by Friday at the latest, please.",
        None,
        None,
    ),
    mail(
        "Can you quote?\n\nAnna Berg\nPurchasing Manager\nAcme Ltd\n+44 20 7946 0958",
        "Can you quote?",
        Some("Anna Berg"),
        None,
    ),
    mail(
        "We need:\n\n40 trucks\n20 trailers",
        "We need:\n\n40 trucks\n20 trailers",
        None,
        None,
    ),
    mail(
        "Yes.\n\nBest regards,\nAnna\n\nOn 9 Mar 2026, Ben <b@c.de> wrote:\n> Hi\n> Best regards,\n> Ben",
        "Yes.",
        Some("Best regards,"),
        Some("On 9 Mar 2026, Ben <b@c.de> wrote:"),
    ),
    mail(
        "Ja.\r\n\r\nViele Grüße\r\nAnna\r\n\r\n> alt\r\n",
        "Ja.",
        Some("Viele Grüße"),
        Some("> alt"),
    ),
];

#[test]
fn parts_of_a_mail() {
    let mut wrong = Vec::new();
    for Mail {
        text,
        newest,
        signature,
        quoted,
    } in MAILS
    {
        let found = zones(text);
        let first_line = |range: &Option<std::ops::Range<usize>>| {
            let part = range
                .as_ref()
                .map(|r| text[r.clone()].lines().next().unwrap_or(""));
            part.map(str::trim_end)
        };
        let got = (
            &text[found.newest.clone()],
            first_line(&found.signature),
            first_line(&found.quoted),
        );
        let expected = (*newest, signature.map(str::trim_end), *quoted);
        if got != expected || found.forwarded.is_some() {
            wrong.push(format!(
                "{text:?}\n  expected {expected:?}\n  found    {got:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Sender, text, and the newest part.
const SIGNED: &[(&str, &str, &str)] = &[
    (
        "Anna Berg <anna.berg@example.com>",
        "I agree.\n\nAnna",
        "I agree.",
    ),
    (
        "Anna Berg <anna.berg@example.com>",
        "I agree.\nAnna Berg",
        "I agree.",
    ),
    ("anna.berg@example.com", "I agree.\n\n- A. Berg", "I agree."),
    ("Anna Berg", "I agree.\n\nAB", "I agree."),
    ("Jörg Maß <j.mass@example.com>", "Passt.\n\nJÖRG", "Passt."),
    (
        "Anna Berg",
        "I agree.\n\nAnna\n\nSent from my iPhone",
        "I agree.",
    ),
    ("Anna Berg", "Where to?\n\nMunich", "Where to?\n\nMunich"),
    ("Anna Berg", "Anna", "Anna"),
    (
        "Anna Berg",
        "Ask for me:\nAnna is at the gate at noon",
        "Ask for me:\nAnna is at the gate at noon",
    ),
    ("", "I agree.\n\nAnna", "I agree.\n\nAnna"),
    ("", "I agree.\n\nAnna\n+49 30 1234567", "I agree."),
    (
        "",
        "I agree. Thanks, all.\nThanks, Anna",
        "I agree. Thanks, all.",
    ),
];

#[test]
fn a_last_line_with_the_name_of_the_sender_is_a_signature() {
    for (sender, text, newest) in SIGNED {
        assert_eq!(
            &text[zones_from(text, sender).newest],
            *newest,
            "{sender}: {text:?}"
        );
    }
}

#[test]
fn forwarded_mails() {
    let headers = [
        "---------- Forwarded message ---------\nFrom: Anna Berg <Anna@Example.com>\nDate: Mon\nSubject: Offer\nTo: b",
        "-------- Weitergeleitete Nachricht --------\nBetreff: Offer\nDatum: Mo\nVon: Anna Berg <anna@example.com>",
        "Begin forwarded message:\n\nFrom: \"Anna Berg\" <anna@example.com>\nSubject: Offer\nDate: Mon",
        "Anfang der weitergeleiteten Nachricht:\n\nVon: Anna Berg <anna@example.com>\nBetreff: Offer\nDatum: Mo",
        "---------- Message transféré ---------\nDe : Anna Berg <anna@example.com>\nDate : lun\nObjet : Offer",
        "---------- Mensaje reenviado ---------\nDe: Anna Berg <anna@example.com>\nAsunto: Offer",
        "---------- Messaggio inoltrato ---------\nDa: Anna Berg <anna@example.com>\nOggetto: Offer",
        "---------- Doorgestuurd bericht ---------\nVan: Anna Berg <anna@example.com>\nOnderwerp: Offer",
        "---------- Vidarebefordrat meddelande ---------\nFrån: Anna Berg <anna@example.com>\nÄmne: Offer",
    ];
    for header in headers {
        let text = format!("Please handle.\n\nBest,\nBen\n\n{header}\n\nWe offer 40 trucks.\n");
        let found = zones(&text);
        assert_eq!(&text[found.newest.clone()], "Please handle.", "{header}");
        let forwarded = found.forwarded.expect(header);
        assert_eq!(
            forwarded.from_name.as_deref(),
            Some("Anna Berg"),
            "{header}"
        );
        assert_eq!(
            forwarded.from_email.as_deref(),
            Some("anna@example.com"),
            "{header}"
        );
        assert_eq!(forwarded.subject.as_deref(), Some("Offer"), "{header}");
        assert_eq!(&text[forwarded.body], "We offer 40 trucks.", "{header}");
        assert!(found.quoted.is_none());
    }
}

#[test]
fn headers_with_nothing_above_are_a_forwarded_mail() {
    let text =
        "From: Anna [mailto:anna@example.com]\nSent: Monday\nTo: Ben\nSubject: Offer\n\nBody\n";
    let Zones {
        newest, forwarded, ..
    } = zones(text);
    assert!(newest.is_empty());
    let forwarded = forwarded.unwrap();
    assert_eq!(
        (forwarded.from_name.as_deref(), &text[forwarded.body]),
        (Some("Anna"), "Body")
    );
}

/// Country, signature, and its fields as "name; title; company; phone; email; url".
const SIGNATURES: &[(&str, &str, &str)] = &[
    (
        "GB",
        "Best regards,\nAnna Berg\nPurchasing Manager\nAcme Trading Ltd\nT: 020 7946 0958\nanna.berg@acme.co.uk\nwww.acme.co.uk",
        "Anna Berg; Purchasing Manager; Acme Trading Ltd; +442079460958; anna.berg@acme.co.uk; https://www.acme.co.uk",
    ),
    (
        "DE",
        "Mit freundlichen Grüßen\n\nDr. Jörg Maß\nLeiter Einkauf\n\nMaß & Söhne GmbH & Co. KG\nHafenstraße 4, 20457 Hamburg\nTel.: 040 1234567\nFax: 040 1234568\nE-Mail: j.mass@mass-soehne.de",
        "Dr. Jörg Maß; Leiter Einkauf; Maß & Söhne GmbH & Co. KG; +49401234567; j.mass@mass-soehne.de; -",
    ),
    (
        "US",
        "Thanks,\nJohn Q. Miller | VP Operations | Globex Inc.\nFax (415) 555-2670 | Cell (415) 555-2671",
        "John Q. Miller; VP Operations; Globex Inc.; +14155552671; -; -",
    ),
    (
        "FR",
        "Cordialement,\nLuc Petit\nResponsable achats, Transports Dubois SARL\n01 42 68 53 00",
        "Luc Petit; Responsable achats; Transports Dubois SARL; +33142685300; -; -",
    ),
    (
        "",
        "-- \nEva García López\nDirectora comercial\neva@initech.example",
        "Eva García López; Directora comercial; initech; -; eva@initech.example; -",
    ),
    (
        "",
        "Best,\nAnna\nInitech\nanna@initech.com",
        "-; -; Initech; -; anna@initech.com; -",
    ),
    (
        "",
        "Cheers\nBo Ek\nbo.ek@gmail.com",
        "Bo Ek; -; -; -; bo.ek@gmail.com; -",
    ),
    (
        "SE",
        "Mvh\nBo Ek, säljare\nSkog Möbler AB\n070-123 45 67",
        "Bo Ek; säljare; Skog Möbler AB; +46701234567; -; -",
    ),
    ("", "Sent from my iPhone", "-; -; -; -; -; -"),
    ("", "", "-; -; -; -; -; -"),
];

#[test]
fn fields_of_a_signature() {
    let mut wrong = Vec::new();
    for (country, text, expected) in SIGNATURES {
        let SignatureFields {
            name,
            title,
            company,
            phone,
            email,
            url,
        } = signature_fields(text, &context(country));
        let got = [&name, &title, &company, &phone, &email, &url]
            .map(|f| f.as_ref().map_or("-", |f| f.value.as_str()))
            .join("; ");
        if got != *expected {
            wrong.push(format!("{text:?}\n  expected {expected}\n  found    {got}"));
        }
        for (field, same) in [
            (&name, true),
            (&title, true),
            (&company, true),
            (&email, false),
        ] {
            if let Some(field) = field {
                let written = &text[field.span.start..field.span.end];
                assert!(
                    written == field.value || !same,
                    "{written:?} {:?}",
                    field.value
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_company_known_only_by_the_mail_domain_is_doubtful() {
    let sure = |text: &str| {
        signature_fields(text, &context(""))
            .company
            .unwrap()
            .confidence
    };
    assert!(sure("Anna Berg\nanna@initech.com") < 0.5);
    assert!(sure("Anna Berg\nInitech\nanna@initech.com") > 0.8);
    assert!(sure("Anna Berg\nInitech LLC\nanna@initech.com") > 0.9);
}
