//! Mail servers that do not behave: each plays a list of commands and answers.

use std::time::Duration;

use tl_connect::imap::{Mailbox, MailboxError, Session};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::support::{LOOPBACK, PATIENT};

/// What a server is told, and what it answers; `TAG` stands for the tag of the command.
type Step<'a> = (&'a str, &'a str);

const GREETING: &str = "* OK ready\r\n";
const LOG_IN: [Step<'_>; 3] = [
    ("AUTHENTICATE PLAIN", "+ \r\n"),
    ("", "TAG OK in\r\n"),
    (
        "CAPABILITY",
        "* CAPABILITY IMAP4rev1 IDLE\r\nTAG OK done\r\n",
    ),
];
const OPENED: &str =
    "* 1 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n* OK [UIDNEXT 9] ok\r\nTAG OK opened\r\n";
const SEARCHED: Step<'_> = ("UID SEARCH UID 1:*", "* SEARCH 5\r\nTAG OK done\r\n");
const BYTES: u32 = 1_000;

/// A server that plays these steps once. It ends with the first command that it does not expect.
async fn playing(steps: &[Step<'_>]) -> (Mailbox, JoinHandle<()>) {
    let owned = |(told, answer): &Step<'_>| ((*told).to_owned(), (*answer).to_owned());
    let steps: Vec<(String, String)> = steps.iter().map(owned).collect();
    let listener = TcpListener::bind(LOOPBACK).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let task = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a client");
        let (read, mut write) = stream.into_split();
        write.write_all(GREETING.as_bytes()).await.expect("open");
        let mut lines = BufReader::new(read).lines();
        let mut tag = String::new();
        for (told, answer) in steps {
            let Ok(Some(line)) = lines.next_line().await else {
                return;
            };
            // What goes on with a command has no tag of its own.
            let goes_on = told.is_empty() || told == "DONE";
            let command = match line.split_once(' ').filter(|_| !goes_on) {
                Some((own, command)) => {
                    own.clone_into(&mut tag);
                    command
                }
                None => line.as_str(),
            };
            assert!(command.starts_with(&told), "{command:?}, not {told:?}");
            let answer = answer.replace("TAG", &tag);
            if write.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
        // It stays until the client goes.
        while let Ok(Some(_)) = lines.next_line().await {}
    });
    let mailbox = Mailbox {
        host: "127.0.0.1".into(),
        port,
        tls: false,
        user: "ada".into(),
        folder: "INBOX".into(),
    };
    (mailbox, task)
}

async fn opened(steps: &[Step<'_>]) -> (Session, JoinHandle<()>) {
    let before = LOG_IN.iter().chain(&[("EXAMINE", OPENED)]);
    let all: Vec<Step<'_>> = before.chain(steps).copied().collect();
    let (mailbox, task) = playing(&all).await;
    let session = Session::open(&mailbox, "pw").await.expect("a session");
    (session, task)
}

#[tokio::test]
async fn a_server_that_does_not_number_its_mails_is_not_begun_with() {
    #[rustfmt::skip]
    let table = [
        ("* OK [UIDVALIDITY 7] ok\r\n* OK [UIDNEXT 9] ok\r\n", None),
        ("* OK [UIDVALIDITY 7] ok\r\n", Some("does not say UIDNEXT")),
        ("* OK [UIDNEXT 9] ok\r\n", Some("does not say UIDVALIDITY")),
        ("* OK [UIDVALIDITY 0] ok\r\n* OK [UIDNEXT 9] ok\r\n", Some("does not say UIDVALIDITY")),
        ("", Some("does not say UIDVALIDITY")),
    ];
    for (said, want) in table {
        let examined = format!("{said}TAG OK opened\r\n");
        let opening = [("EXAMINE", examined.as_str())];
        let steps: Vec<Step<'_>> = LOG_IN.iter().chain(&opening).copied().collect();
        let (mailbox, _task) = playing(&steps).await;
        let got = Session::open(&mailbox, "pw").await;
        match (got, want) {
            (Ok(session), None) => assert_eq!((session.validity, session.next), (7, 9)),
            (Err(e), Some(want)) => {
                assert!(e.to_string().contains(want), "{e}");
                assert_eq!(e.tries(), None);
            }
            (got, want) => panic!("{said}: {got:?}, not {want:?}"),
        }
    }
}

/// What is said of new mail while something else is asked is not lost until the waiting is over.
#[tokio::test]
async fn mail_that_comes_while_a_server_is_asked_is_not_waited_for() {
    let about = "UID FETCH 5 (RFC822.SIZE";
    let sized = "* 1 FETCH (UID 5 RFC822.SIZE 3)\r\nTAG OK done\r\n";
    let with = |answer: &str| format!("* 2 EXISTS\r\n{answer}");
    let (searched, fetched) = (with(SEARCHED.1), with(sized));
    // During which answer it was said, and whether the server is left to say it once more.
    let table = [
        ("search", searched.as_str(), sized, false),
        ("fetch", SEARCHED.1, fetched.as_str(), false),
        ("idle", SEARCHED.1, sized, true),
    ];
    for (when, searched, fetched, idles) in table {
        let mut steps = vec![(SEARCHED.0, searched), (about, fetched)];
        if idles {
            steps.extend([
                ("IDLE", "+ idling\r\n* 2 EXISTS\r\n"),
                ("DONE", "TAG OK\r\n"),
            ]);
        }
        steps.push(("UID SEARCH UID 6:*", "* SEARCH 6\r\nTAG OK done\r\n"));
        let (mut session, _task) = opened(&steps).await;
        assert_eq!(session.newer(0, None).await.unwrap(), [5], "{when}");
        session.about(5).await.unwrap().expect("a mail");
        // A server that says nothing more would be waited for as long as this.
        let waited = session.wait(10 * PATIENT, Duration::ZERO);
        let waited = tokio::time::timeout(PATIENT, waited).await;
        waited.expect("it does not wait").unwrap();
        assert_eq!(session.newer(5, None).await.unwrap(), [6], "{when}");
    }
}

#[tokio::test]
async fn a_mail_is_found_among_what_else_is_said_of_it() {
    let flags = "* 1 FETCH (UID 5 FLAGS (\\Seen))\r\n";
    let other = "* 2 FETCH (UID 6 BODY[] {2}\r\nno)\r\n";
    let literal = "* 1 FETCH (UID 5 BODY[] {3}\r\nabc)\r\n";
    let quoted = "* 1 FETCH (BODY[] \"abc\" UID 5)\r\n";
    let whole = Ok(Some(b"abc".to_vec()));
    let bodiless = Err("the server did not send the mail".to_owned());
    let refused = Err("the server refused to fetch a mail: NO [SERVERBUG]".to_owned());
    let too_long = Err("the server sent more than was asked for".to_owned());
    #[rustfmt::skip]
    let table = [
        (literal.to_owned(), whole.clone(), None),
        (quoted.to_owned(), whole.clone(), None),
        (format!("{flags}{literal}"), whole.clone(), None),
        (format!("{other}{literal}{flags}"), whole, None),
        (other.to_owned(), Ok(None), None),
        (String::new(), Ok(None), None),
        (flags.to_owned(), bodiless.clone(), Some(3)),
        ("* 1 FETCH (UID 5 BODY[] NIL)\r\n".to_owned(), bodiless, Some(3)),
        ("TAG NO [SERVERBUG] broken\r\n".to_owned(), refused, Some(3)),
        ("TAG NO [UNAVAILABLE] later\r\n".to_owned(), Err("UNAVAILABLE".to_owned()), None),
        ("* 1 FETCH (UID 5 BODY[] {99000000}\r\n".to_owned(), too_long, Some(3)),
        ("* BYE out\r\n".to_owned(), Err("ended the connection".to_owned()), Some(10)),
    ];
    for (said, want, tries) in table {
        let answer = format!("{said}TAG OK done\r\n");
        let (mut session, _task) = opened(&[("UID FETCH 5 (BODY.PEEK[])", &answer)]).await;
        match (session.whole(5, BYTES).await, want) {
            (Ok(got), Ok(want)) => assert_eq!(got, want, "{said}"),
            (Err(e), Err(want)) => {
                assert!(e.to_string().contains(&want), "{said}: {e}");
                assert_eq!(e.tries(), tries, "{said}");
            }
            (got, want) => panic!("{said}: {got:?}, not {want:?}"),
        }
    }
    // Size and day may come one after the other.
    let day = "* 1 FETCH (UID 5 INTERNALDATE \" 1-Jan-1970 00:00:01 +0000\")\r\n";
    let answer = format!("{flags}{day}* 1 FETCH (UID 5 RFC822.SIZE 3)\r\nTAG OK done\r\n");
    let (mut session, _task) = opened(&[("UID FETCH 5 (RFC822.SIZE INTERNALDATE)", &answer)]).await;
    let about = session.about(5).await.unwrap().expect("a mail");
    assert_eq!((about.size, about.taken_at), (Some(3), Some(1_000_000)));
    assert!(MailboxError::Bodiless.leaves_the_session());
}
