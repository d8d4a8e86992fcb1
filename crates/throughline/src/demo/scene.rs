//! What is played: which project, which messages through which doors, and what the words of the report mean there.

use super::corpus::Outcome;
use crate::templates::Template;

/// How the senders of a door send, and prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// JSON, with an HMAC signature.
    Json,
    /// JSON, signed as Standard Webhooks demands.
    Partner,
    /// A raw mail, with an HMAC signature.
    Mail,
    /// A form, with an HMAC signature.
    Form,
    /// JSON to `/v1/events`, with an API key.
    Api,
    /// A document, with an HMAC signature.
    File,
}

/// A row of the table: what is counted, the outcomes, what it means.
type Counted = (&'static str, &'static [Outcome], &'static str);

/// One of the demos.
#[derive(Debug)]
pub struct Scene {
    /// Its project.
    pub template: Template,
    /// Over the table.
    pub title: &'static str,
    /// The doors by name.
    pub doors: &'static [(&'static str, Kind)],
    /// The files of its messages, in the order they are sent.
    pub corpus: &'static [(&'static str, &'static str)],
    /// The type of its records.
    pub record: &'static str,
    /// The messages that answer somebody at once.
    pub answers: &'static [&'static str],
    /// What a case is that was written and handed to somebody.
    pub handed: Outcome,
    /// What a case is that was written and needs nobody.
    pub wrote: Outcome,
    /// What a person changes by hand in the CRM: field and text.
    pub edit: (&'static str, &'static str),
    /// One case of each is explained.
    pub explained: &'static [Outcome],
    /// How the messages came.
    pub sent: &'static str,
    /// Why messages joined a case.
    pub joined: &'static str,
    /// The outcomes.
    pub outcomes: &'static [Counted],
    /// What was written.
    pub writes: &'static str,
}

/// The scene of a template.
pub fn scene(template: Template) -> &'static Scene {
    match template {
        Template::Lead => &LEADS,
        Template::Ticket => &TICKETS,
        Template::Document => &DOCUMENTS,
    }
}

/// How the senders of a door send.
pub fn kind_of(doors: &[(&str, Kind)], name: &str) -> Option<Kind> {
    let found = doors.iter().find(|(door, _)| *door == name);
    found.map(|(_, kind)| *kind)
}

const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";

macro_rules! file {
    ($name:literal, $type:expr) => {
        (
            $name,
            $type,
            include_bytes!(concat!("../../demo/documents/files/", $name)),
        )
    };
}

/// The files that are sent: name, content type and bytes.
static FILES: &[(&str, &str, &[u8])] = &[
    file!("invoice.pdf", "application/pdf"),
    file!("two-pages.pdf", "application/pdf"),
    file!("scan.pdf", "application/pdf"),
    file!("broken.pdf", "application/pdf"),
    file!("invoice.csv", "text/csv"),
    file!("invoice.docx", DOCX),
];

/// Content type and bytes of a file that is sent.
pub fn file(name: &str) -> Option<(&'static str, &'static [u8])> {
    let found = FILES.iter().find(|(n, ..)| *n == name);
    found.map(|(_, content_type, bytes)| (*content_type, *bytes))
}

macro_rules! messages {
    ($($dir:literal: $($name:literal)+;)+) => {
        &[$($((concat!($name, ".yaml"), include_str!(concat!("../../demo/", $dir, "/", $name, ".yaml")))),+),+]
    };
}

static LEADS: Scene = Scene {
    template: Template::Lead,
    title: "Inbound lead → qualified opportunity",
    doors: &[
        ("leads", Kind::Json),
        ("mail", Kind::Mail),
        ("sms", Kind::Form),
        ("contact", Kind::Form),
        ("partners", Kind::Partner),
        ("notes", Kind::Api),
    ],
    corpus: messages! {
        "messages": "contact-forms" "duplicates" "hostile" "incidents" "mail-languages" "mail" "missing" "notes"
            "partners" "sms" "spam" "trios" "unsure" "web-forms";
    },
    record: "lead",
    answers: &["ack_email", "ack_sms"],
    handed: Outcome::Hot,
    wrote: Outcome::Automated,
    edit: (
        "message",
        "Spoke to them: call before noon, ask for the depot plan.",
    ),
    explained: &[Outcome::Hot, Outcome::Joined, Outcome::Review],
    sent: "by real HTTP: forms, mail, SMS, notes",
    joined: "the same person by another door",
    outcomes: &[
        (
            "automated",
            &[Outcome::Automated],
            "settled without a person at any time",
        ),
        (
            "waiting for a person",
            &[Outcome::Hot, Outcome::FollowUp, Outcome::Review],
            "hot leads, follow-ups, unsure ones",
        ),
        (
            "closed",
            &[Outcome::ClosedSpam],
            "spam, applications, automatic replies",
        ),
    ],
    writes: "to the CRM, hot leads and joins too; it counts the same",
};

static TICKETS: Scene = Scene {
    template: Template::Ticket,
    title: "Support ticket → first response",
    doors: &[
        ("desk", Kind::Json),
        ("mail", Kind::Mail),
        ("help", Kind::Form),
        ("calls", Kind::Api),
    ],
    corpus: messages! { "tickets": "questions" "for-people" "threads" "hostile" "incidents"; },
    record: "ticket",
    answers: &["first_response"],
    handed: Outcome::Hot,
    wrote: Outcome::Answered,
    edit: ("subject", "Spoke to them on the phone: wants a call back."),
    explained: &[Outcome::Answered, Outcome::Joined, Outcome::Review],
    sent: "by real HTTP: help desk, mail, form, calls",
    joined: "another message about the same ticket",
    outcomes: &[
        (
            "answered",
            &[Outcome::Answered],
            "a question with its first answer",
        ),
        (
            "waiting for a person",
            &[Outcome::Review],
            "refunds, bugs, unsure and incomplete ones",
        ),
        ("closed", &[Outcome::ClosedSpam], "automatic replies"),
    ],
    writes: "of answered tickets to the CRM; it counts the same",
};

static DOCUMENTS: Scene = Scene {
    template: Template::Document,
    title: "Document text → validated record",
    doors: &[
        ("documents", Kind::File),
        ("scanner", Kind::Json),
        ("mail", Kind::Mail),
        ("upload", Kind::Form),
        ("export", Kind::Api),
    ],
    corpus: messages! { "documents": "invoices" "for-people" "copies" "hostile" "incidents" "files"; },
    record: "invoice",
    answers: &[],
    handed: Outcome::Valid,
    wrote: Outcome::Automated,
    edit: ("supplier", "As in the list of suppliers: no. 4711"),
    explained: &[Outcome::Valid, Outcome::Joined, Outcome::Review],
    sent: "by real HTTP: scanner, mail, form, exports",
    joined: "a corrected copy of the same document",
    outcomes: &[
        (
            "valid",
            &[Outcome::Valid],
            "complete, adds up, with its owner",
        ),
        (
            "waiting for a person",
            &[Outcome::Review],
            "something is missing or does not add up",
        ),
    ],
    writes: "of valid invoices to the CRM; it counts the same",
};
