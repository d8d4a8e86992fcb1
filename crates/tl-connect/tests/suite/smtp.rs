//! Mail by SMTP: what is known when a server breaks off, refuses or falls silent at each point (E-04), encryption, log-in,
//! and the mail itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mail_parser::{HeaderName, MessageParser};
use tl_connect::call::{Call, CallError, Facts};
use tl_connect::classify::{Action, Ground, classify};
use tl_connect::client::{Auth, Client, Connection};
use tl_connect::exchange::{self, To, WriteOutcome};
use tl_connect::login::Credentials;
use tl_kernel::connector::Connector;
use tl_kernel::program::OnUnknown;
use tl_kernel::value::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use crate::support::{LOOPBACK, PATIENT};
use crate::tls::{acceptor, trusting};

/// What a server does at a point, in place of what it usually says.
#[derive(Debug, Clone, Copy)]
enum At {
    Say(&'static str),
    Close,
    Stay,
}
use At::{Close, Say, Stay};

type Script = &'static [(&'static str, At)];

/// The usual answer to a command. The end of a mail is `.`.
fn usual(verb: &str) -> &'static str {
    match verb {
        "greet" => "220 mail.test ESMTP",
        "EHLO" => "250-mail.test\r\n250-AUTH PLAIN XOAUTH2\r\n250 8BITMIME",
        "STARTTLS" => "220 go ahead",
        "AUTH" => "235 2.7.0 welcome",
        "DATA" => "354 end with a dot",
        "." => "250 2.0.0 Ok: queued as 4F2A",
        "QUIT" => "221 bye",
        _ => "250 Ok",
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A mail server that departs from the usual where its script says.
struct Server {
    addr: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(script: Script) -> Server {
        Server::with(script, false).await
    }

    async fn with(script: Script, encrypted: bool) -> Server {
        let listener = TcpListener::bind(LOOPBACK).await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let stream: Box<dyn Stream> = match encrypted {
                    false => Box::new(stream),
                    true => match acceptor().accept(stream).await {
                        Ok(stream) => Box::new(stream),
                        Err(_) => continue,
                    },
                };
                serve(stream, script, &kept).await;
            }
        });
        Server { addr, heard }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("a lock").clone()
    }

    /// The mail as it came over the wire, without the dots that were added to it.
    fn mail(&self) -> String {
        let heard = self.heard();
        let lines = heard.iter().skip_while(|l| *l != "DATA").skip(1);
        let lines = lines.take_while(|l| *l != ".");
        let lines = lines.map(|l| l.strip_prefix('.').unwrap_or(l));
        lines.map(|l| format!("{l}\r\n")).collect()
    }
}

async fn serve(stream: Box<dyn Stream>, script: Script, kept: &Mutex<Vec<String>>) {
    let mut stream = BufReader::new(stream);
    let mut verb = "greet".to_owned();
    let mut in_mail = false;
    loop {
        if !in_mail {
            let found = script
                .iter()
                .find(|(at, _)| *at == verb)
                .map(|(_, does)| *does);
            let say = match found {
                Some(Close) => return,
                Some(Stay) => std::future::pending().await,
                Some(Say(text)) => text,
                None => usual(&verb),
            };
            if stream
                .write_all(format!("{say}\r\n").as_bytes())
                .await
                .is_err()
            {
                return;
            }
            in_mail = verb == "DATA" && say.starts_with("354");
            if verb == "STARTTLS" && say.starts_with("220") {
                let Ok(encrypted) = acceptor().accept(stream.into_inner()).await else {
                    return;
                };
                stream = BufReader::new(Box::new(encrypted));
            }
        }
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        let line = line.trim_end_matches(['\r', '\n']).to_owned();
        kept.lock().expect("a lock").push(line.clone());
        if in_mail {
            in_mail = line != ".";
            verb = ".".into();
            continue;
        }
        verb = line.split(' ').next().unwrap_or_default().to_uppercase();
    }
}

fn connector() -> Connector {
    let text = tl_lang::connector::shipped("smtp").expect("the connector");
    let read = tl_lang::connector::read("connectors/smtp.yaml", text);
    read.connector.unwrap_or_else(|| panic!("{:?}", read.diags))
}

/// A connection that logs in as the connector's scheme of a name says.
fn connection(base: &str, scheme: &str) -> Connection {
    let connector = connector();
    let plain = Connection::new("mail", base, &Auth::None, true).expect("an address");
    let credentials = Credentials {
        settings: BTreeMap::from([("user".to_owned(), "desk".to_owned())]),
        secret: Value::text("s3cret"),
    };
    let scheme = connector.auth.iter().find(|s| s.name == scheme);
    Connection::of_connector(plain, scheme, credentials, None).expect("a connection")
}

const ARGS: &[(&str, &str)] = &[
    ("to", "ada@example.com"),
    ("from", "Acme support <help@acme.test>"),
    ("subject", "Your seats"),
    ("text", "Ten seats.\n.\nBye"),
];

async fn write(
    client: &Client,
    connection: &Connection,
    (args, deadline): (&[(&str, &str)], Duration),
) -> Result<WriteOutcome, CallError> {
    let connector = connector();
    let args = args.iter().map(|(k, v)| ((*k).to_owned(), Value::text(*v)));
    let args = Value::Record(args.collect());
    let call = Call {
        operation: &connector.operations["mail.send"],
        args: &args,
        fields: &Value::Null,
        settings: connection.settings(),
        effect: Facts {
            id: "eff_0-1",
            key: "k-1",
            base_version: None,
            create: false,
            attempt: 1,
        },
    };
    let to = To {
        connection,
        correlation_id: "corr-1",
        trace: None,
        deadline,
        now: 1_700_000_000_000_000,
    };
    exchange::write(client, &call, &to).await
}

/// What an outcome leads to, where a person decides what nobody knows.
fn leads_to(outcome: &WriteOutcome, on_unknown: OnUnknown) -> Action {
    let class = connector().operations["mail.send"].class;
    classify(class, on_unknown, &outcome.observation, &outcome.overrides)
}

#[tokio::test]
async fn what_is_known_at_each_point_decides() {
    let again = Action::Retry {
        retry_after: None,
        ground: Ground::NotApplied,
    };
    let refused = Action::Failed { code: "refused" };
    let hold = Action::Hold {
        code: "credential_refused",
    };
    let rows: &[(&str, Script, &Action)] = &[
        ("all is well", &[], &Action::Succeed),
        ("closed at once", &[("greet", Close)], &again),
        ("too busy", &[("greet", Say("421 too busy"))], &again),
        ("no service", &[("greet", Say("554 no service"))], &refused),
        ("no greeting", &[("greet", Stay)], &again),
        ("no mail server", &[("greet", Say("hello"))], &again),
        ("log-in refused", &[("AUTH", Say("535 5.7.8 no"))], &hold),
        ("log-in busy", &[("AUTH", Say("454 4.7.0 later"))], &again),
        (
            "log-in needed",
            &[("MAIL", Say("530 5.7.0 log in first"))],
            &hold,
        ),
        ("no log-in there", &[("EHLO", Say("250 mail.test"))], &again),
        (
            "sender refused",
            &[("MAIL", Say("550 5.7.1 not yours"))],
            &refused,
        ),
        (
            "greylisted",
            &[("RCPT", Say("450 4.2.0 greylisted"))],
            &again,
        ),
        (
            "no such address",
            &[("RCPT", Say("550 5.1.1 no such user"))],
            &refused,
        ),
        ("gone before the mail", &[("RCPT", Close)], &again),
        ("silent before the mail", &[("DATA", Stay)], &again),
        ("no mail now", &[("DATA", Say("451 4.3.0 later"))], &again),
        ("not taken", &[(".", Say("451 4.3.0 later"))], &again),
        ("taken for spam", &[(".", Say("554 5.7.1 spam"))], &refused),
        ("gone after the dot", &[(".", Close)], &Action::Uncertain),
        ("silent after the dot", &[(".", Stay)], &Action::Uncertain),
        (
            "nonsense after the dot",
            &[(".", Say("well"))],
            &Action::Uncertain,
        ),
        ("no goodbye", &[("QUIT", Close)], &Action::Succeed),
        ("silent goodbye", &[("QUIT", Stay)], &Action::Succeed),
    ];
    for (name, script, expected) in rows {
        let server = Server::start(script).await;
        let to = connection(&format!("smtp://{}", server.addr), "password");
        let silent = script
            .iter()
            .any(|(at, does)| matches!(does, Stay) && *at != "QUIT");
        let deadline = if silent {
            Duration::from_millis(300)
        } else {
            PATIENT
        };
        let outcome = write(&trusting(), &to, (ARGS, deadline))
            .await
            .expect("a mail");
        let came = leads_to(&outcome, OnUnknown::Hold);
        assert_eq!(came, **expected, "{name}: {:?}", outcome.observation);
        let done = came == Action::Succeed;
        let id = done.then(|| "2.0.0 Ok: queued as 4F2A".to_owned());
        assert_eq!(outcome.vendor_ref, id, "{name}");
        // What nobody knows is said again only where the owner has chosen that.
        if came == Action::Uncertain {
            assert_eq!(
                leads_to(&outcome, OnUnknown::AssumeSent),
                Action::AssumeSent
            );
            let resent = leads_to(&outcome, OnUnknown::Resend);
            assert!(matches!(
                resent,
                Action::Retry {
                    ground: Ground::DuplicatePossible,
                    ..
                }
            ));
        }
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_has_got_nothing() {
    let listener = TcpListener::bind(LOOPBACK).await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    drop(listener);
    let rows = [
        (format!("smtp://{addr}"), "Answered", "NotSent(Refused)"),
        ("smtp://nowhere.test:25".into(), "", "NotSent(Dns)"),
    ];
    for (base, _, expected) in rows {
        let to = connection(&base, "none");
        let outcome = write(&trusting(), &to, (ARGS, PATIENT))
            .await
            .expect("a mail");
        assert_eq!(format!("{:?}", outcome.observation), expected, "{base}");
    }
}

#[tokio::test]
async fn addresses_are_checked_and_encryption_is_asked_for() {
    let offers = "250-mail.test\r\n250-STARTTLS\r\n250 AUTH PLAIN";
    let starts: Script = &[(
        "EHLO",
        Say("250-mail.test\r\n250-STARTTLS\r\n250 AUTH PLAIN"),
    )];
    assert_eq!(format!("{:?}", starts[0].1), format!("{:?}", Say(offers)));
    let rows: &[(&str, &str, Script, bool, &str)] = &[
        (
            "encrypted at once",
            "smtps://vendor.test",
            &[],
            true,
            "status: 250",
        ),
        (
            "of another name",
            "smtps://other.test",
            &[],
            true,
            "Certificate",
        ),
        (
            "begun in the clear",
            "smtp://vendor.test",
            starts,
            false,
            "status: 250",
        ),
        (
            "and of another name",
            "smtp://other.test",
            starts,
            false,
            "Certificate",
        ),
        (
            "no encryption there",
            "smtps://vendor.test",
            &[],
            false,
            "Tls",
        ),
        // The name may be this machine's, and is not: a password does not go there in the clear.
        (
            "a password in the clear",
            "smtp://vendor.test",
            &[],
            false,
            "Tls",
        ),
    ];
    for (name, base, script, encrypted, expected) in rows {
        let server = Server::with(script, *encrypted).await;
        let to = connection(&format!("{base}:{}", server.addr.port()), "password");
        let outcome = write(&trusting(), &to, (ARGS, PATIENT))
            .await
            .expect("a mail");
        let came = format!("{:?}", outcome.observation);
        assert!(came.contains(expected), "{name}: {came}");
        let heard = server.heard();
        let told = heard
            .iter()
            .any(|l| l.starts_with("AUTH") || l.starts_with("RCPT"));
        assert_eq!(told, expected.starts_with("status"), "{name}: {heard:?}");
    }
    // An address in the own network needs the owner's word, as for every connection.
    let plain = Connection::new("mail", "smtp://vendor.test:25", &Auth::None, false);
    let outcome = write(&trusting(), &plain.expect("a name"), (ARGS, PATIENT)).await;
    let came = format!("{:?}", outcome.expect("a mail").observation);
    assert_eq!(came, "NotSent(Target)");
    for bad in [
        "smtp://127.0.0.1:25",
        "smtp://u:p@mail.test",
        "smtp://mail.test/x",
        "smtp://",
    ] {
        assert!(
            Connection::new("mail", bad, &Auth::None, false).is_err(),
            "{bad}"
        );
    }
}

#[tokio::test]
async fn it_logs_in_with_a_password_or_a_token() {
    let decoded = |line: &str| {
        let secret = line.rsplit(' ').next().unwrap_or_default();
        String::from_utf8(STANDARD.decode(secret).expect("base64")).expect("text")
    };
    // A refused token is answered with a question first.
    let question: Script = &[("AUTH", Say("334 eyJzdGF0dXMiOiI0MDEifQ=="))];
    let rows: &[(&str, Script, &str, &str)] = &[
        ("password", &[], "AUTH PLAIN", "\0desk\0s3cret"),
        (
            "token",
            &[],
            "AUTH XOAUTH2",
            "user=desk\u{1}auth=Bearer s3cret\u{1}\u{1}",
        ),
        (
            "token",
            question,
            "AUTH XOAUTH2",
            "user=desk\u{1}auth=Bearer s3cret\u{1}\u{1}",
        ),
    ];
    for (scheme, script, verb, secret) in rows {
        let server = Server::start(script).await;
        let to = connection(&format!("smtp://{}", server.addr), scheme);
        let outcome = write(&trusting(), &to, (ARGS, PATIENT))
            .await
            .expect("a mail");
        let heard = server.heard();
        let line = heard
            .iter()
            .find(|l| l.starts_with("AUTH"))
            .expect("a log-in");
        assert!(line.starts_with(verb), "{line}");
        assert_eq!(decoded(line), *secret);
        assert_eq!(
            outcome.is_refused(),
            !script.is_empty(),
            "{:?}",
            outcome.observation
        );
    }
}

#[tokio::test]
async fn the_mail_says_what_its_parts_say_and_nothing_more() {
    let long = "A line that is longer than what mail systems take in one piece. ".repeat(40);
    let rows: &[&[(&str, &str)]] = &[
        ARGS,
        &[("text", &long)],
        &[(
            "text",
            "Ten seats.\r.\rMAIL FROM:<eve@example.com>\r\n.\rBye",
        )],
        &[
            ("subject", "Grüße\r\nBcc: eve@example.com"),
            ("text", "Zwölf Plätze\r\n.\r\n..\r\n"),
        ],
        &[
            ("html", "<p>Ten seats.</p>"),
            ("reply_to", "desk@acme.test"),
        ],
        &[("in_reply_to", "1@example.com\r\nBcc: eve@example.com")],
        &[
            ("in_reply_to", "<1@example.com>"),
            ("from", "help@acme.test"),
        ],
    ];
    for row in rows {
        let mut all: BTreeMap<&str, &str> = ARGS.iter().copied().collect();
        all.extend(row.iter().copied());
        let args: Vec<(&str, &str)> = all.clone().into_iter().collect();
        let mut mails = Vec::new();
        for _ in 0..2 {
            let server = Server::start(&[]).await;
            let to = connection(&format!("smtp://{}", server.addr), "none");
            let outcome = write(&trusting(), &to, (&args, PATIENT))
                .await
                .expect("a mail");
            assert_eq!(leads_to(&outcome, OnUnknown::Hold), Action::Succeed);
            let heard = server.heard();
            assert!(
                heard.iter().any(|l| l == "MAIL FROM:<help@acme.test>"),
                "{heard:?}"
            );
            assert!(
                heard.iter().any(|l| l == "RCPT TO:<ada@example.com>"),
                "{heard:?}"
            );
            mails.push(server.mail());
        }
        assert_eq!(mails[0], mails[1], "the same parts at the same time");
        let mail = &mails[0];
        assert!(
            mail.is_ascii() && mail.lines().all(|l| l.len() <= 998),
            "{mail}"
        );
        assert!(!mail.replace("\r\n", "").contains('\r'), "{mail:?}");
        let read = MessageParser::new().parse(mail.as_bytes()).expect("a mail");
        let flat = |text: &str| {
            let one = text.replace("\r\n", "\n").replace('\r', "\n");
            one.trim_end().to_owned()
        };
        assert_eq!(
            flat(&read.body_text(0).unwrap_or_default()),
            flat(all["text"])
        );
        assert_eq!(read.message_id(), Some("eff_0-1@acme.test"));
        let sent_at = read.date().map(mail_parser::DateTime::to_timestamp);
        assert_eq!(sent_at, Some(1_700_000_000));
        let subject = all["subject"].replace("\r\n", " ");
        assert_eq!(read.subject(), Some(subject.as_str()));
        assert!(read.bcc().is_none() && read.cc().is_none(), "{mail}");
        let names = |name: HeaderName<'_>| read.header_raw(name).map(|v| v.trim().to_owned());
        assert_eq!(
            names("Auto-Submitted".into()).as_deref(),
            Some("auto-generated")
        );
        assert_eq!(
            names("X-Throughline-Effect".into()).as_deref(),
            Some("eff_0-1")
        );
        if let Some(html) = all.get("html") {
            assert_eq!(read.body_html(0).as_deref().map(str::trim_end), Some(*html));
            assert_eq!(
                names(HeaderName::ReplyTo).as_deref(),
                Some("desk@acme.test")
            );
        }
        if all.contains_key("in_reply_to") {
            let answered = read.in_reply_to().as_text().unwrap_or_default().to_owned();
            assert!(answered.starts_with("1@example.com"), "{mail}");
        }
    }
}

#[tokio::test]
async fn what_is_no_address_is_not_written_to() {
    let to = connection("smtp://127.0.0.1:1", "none");
    for (part, text, expected) in [
        (
            "from",
            "",
            "TL0820 the mail cannot be written: `from` is empty",
        ),
        (
            "from",
            "help",
            "TL0820 the mail cannot be written: `from` is not one address",
        ),
        (
            "to",
            "ada@example.com, eve@example.com",
            "`to` is not one address",
        ),
        (
            "to",
            "ada@example.com\r\nBcc: eve@example.com",
            "`to` is not one address",
        ),
        ("reply_to", "a@b@c", "`reply_to` is not one address"),
    ] {
        let mut all: BTreeMap<&str, &str> = ARGS.iter().copied().collect();
        all.insert(part, text);
        let args: Vec<(&str, &str)> = all.into_iter().collect();
        let refused = write(&trusting(), &to, (&args, PATIENT)).await;
        let refused = refused.expect_err("no mail").to_string();
        assert!(refused.ends_with(expected), "{part}: {refused}");
    }
}
