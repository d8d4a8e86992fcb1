//! Mail out of a mailbox whose server does what no good server does: the real binary, and a server of this test's own.

use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use tl_kernel::time::rfc3339;
use tl_wire::imap::MONTHS;

use super::bench::{Bench, PATIENCE};
use super::mailbox::WORKFLOW;

const HOUR: u64 = 3_600;
const MONTHS_AGO: u64 = 60 * 24 * HOUR;

/// How a server hands a mail over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hands {
    Over,
    /// It says no.
    Refuses,
    /// It sends far more than it has announced.
    Floods,
}

#[derive(Debug, Clone, Copy)]
struct Mail {
    id: &'static str,
    /// How long ago the server took it, seconds.
    ago: u64,
    hands: Hands,
}

fn mail(id: &'static str, ago: u64) -> Mail {
    Mail {
        id,
        ago,
        hands: Hands::Over,
    }
}

/// What the server has, and what it was told.
#[derive(Debug, Default)]
struct Held {
    validity: u32,
    /// By UID, from 1.
    mails: Vec<Mail>,
    told: Vec<String>,
}

struct Odd {
    port: u16,
    held: Arc<Mutex<Held>>,
}

impl Odd {
    fn start(mails: &[Mail]) -> Odd {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let held = Arc::new(Mutex::new(Held {
            validity: 7,
            mails: mails.to_vec(),
            told: Vec::new(),
        }));
        let of = Arc::clone(&held);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let held = Arc::clone(&of);
                // It ends with its client.
                std::thread::spawn(move || serve(stream, &held));
            }
        });
        Odd { port, held }
    }

    /// Gives the mails other numbers.
    fn renumber(&self, validity: u32, mails: &[Mail]) {
        let mut held = self.held.lock().unwrap();
        held.validity = validity;
        held.mails = mails.to_vec();
        held.told.clear();
    }

    fn take(&self, mails: &[Mail]) {
        self.held.lock().unwrap().mails.extend(mails);
    }

    /// Waits until everything was looked through and news are waited for.
    fn until_idle(&self) {
        let begun = Instant::now();
        while !self.was_told("IDLE") {
            let told = self.held.lock().unwrap().told.clone();
            assert!(begun.elapsed() < PATIENCE, "{told:#?}");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    fn was_told(&self, command: &str) -> bool {
        let held = self.held.lock().unwrap();
        held.told.iter().any(|told| told.starts_with(command))
    }

    fn project(&self) -> Bench {
        let bench = Bench::empty();
        bench.write("workflows/support/workflow.yaml", WORKFLOW);
        bench.write("secrets/imap", "pw");
        let url = format!(
            "mail=imap://help%40acme.example@127.0.0.1:{}/INBOX?secret=file:secrets/imap",
            self.port
        );
        bench.write("throughline.toml", &format!("mailboxes = [\"{url}\"]\n"));
        bench
    }
}

fn serve(mut stream: TcpStream, held: &Mutex<Held>) -> io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?);
    stream.write_all(b"* OK ready\r\n")?;
    let mut known = 0;
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let (tag, command) = line.trim_end().split_once(' ').unwrap_or_default();
        let words: Vec<&str> = command.split(' ').collect();
        held.lock().unwrap().told.push(command.to_owned());
        let answer = match words.as_slice() {
            ["AUTHENTICATE", ..] => {
                stream.write_all(b"+ \r\n")?;
                lines.read_line(&mut String::new())?;
                Some(String::new())
            }
            ["CAPABILITY"] => Some("* CAPABILITY IMAP4rev1 IDLE\r\n".to_owned()),
            ["IDLE"] => {
                idle((&mut stream, &mut lines), held, &mut known)?;
                Some(String::new())
            }
            _ => answer(&words, &held.lock().unwrap(), &mut known),
        };
        let answer = match answer {
            Some(text) => format!("{text}{tag} OK done\r\n"),
            None => format!("{tag} NO [SERVERBUG] internal error\r\n"),
        };
        stream.write_all(answer.as_bytes())?;
    }
}

/// Says when there is more, until the client has heard enough.
fn idle(
    (stream, lines): (&mut TcpStream, &mut BufReader<TcpStream>),
    held: &Mutex<Held>,
    known: &mut usize,
) -> io::Result<()> {
    stream.write_all(b"+ idling\r\n")?;
    stream.set_read_timeout(Some(Duration::from_millis(20)))?;
    let mut line = String::new();
    while !line.ends_with('\n') {
        match lines.read_line(&mut line) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Err(e) if !matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Err(e);
            }
            _ => {}
        }
        let there = held.lock().unwrap().mails.len();
        if there != *known {
            *known = there;
            stream.write_all(format!("* {there} EXISTS\r\n").as_bytes())?;
        }
    }
    stream.set_read_timeout(None)
}

/// What the server says to a command; nothing where it refuses.
fn answer(words: &[&str], held: &Held, known: &mut usize) -> Option<String> {
    let there = held.mails.len();
    match words {
        ["EXAMINE", ..] => {
            *known = there;
            let (validity, next) = (held.validity, there + 1);
            Some(format!(
                "* {there} EXISTS\r\n* OK [UIDVALIDITY {validity}] ok\r\n* OK [UIDNEXT {next}] ok\r\n"
            ))
        }
        ["UID", "SEARCH", "UID", range, rest @ ..] => {
            *known = there;
            let from: usize = range.strip_suffix(":*")?.parse().ok()?;
            // Of a day it is known here that it is none of some months ago.
            let recent = |m: &Mail| rest.is_empty() || m.ago < MONTHS_AGO;
            let found = held.mails.iter().enumerate();
            // The last one is found by `*` even where it is not above.
            let found = found.filter(|(at, m)| (at + 1 >= from || at + 1 == there) && recent(m));
            let found: String = found.map(|(at, _)| format!(" {}", at + 1)).collect();
            Some(format!("* SEARCH{found}\r\n"))
        }
        ["UID", "FETCH", uid, what, ..] => {
            let at: usize = uid.parse().ok()?;
            let mail = held.mails.get(at - 1)?;
            let text = format!(
                "From: Ada <ada@example.com>\r\nMessage-ID: <{}@example.com>\r\n\r\nWe need ten seats.\r\n",
                mail.id
            );
            let size = text.len();
            let about = format!("* {at} FETCH (UID {uid}");
            match (*what, mail.hands) {
                ("(RFC822.SIZE", _) => {
                    let day = internal_date(mail.ago);
                    Some(format!(
                        "{about} RFC822.SIZE {size} INTERNALDATE \"{day}\")\r\n"
                    ))
                }
                (_, Hands::Over) => Some(format!("{about} BODY[] {{{size}}}\r\n{text})\r\n")),
                (_, Hands::Refuses) => None,
                (_, Hands::Floods) => Some(format!("{about} BODY[] {{99000000}}\r\n")),
            }
        }
        _ => None,
    }
}

/// So many seconds ago, as IMAP writes it.
fn internal_date(ago: u64) -> String {
    let at = SystemTime::now() - Duration::from_secs(ago);
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let text = rfc3339(i64::try_from(since.as_micros()).unwrap());
    let (date, time) = text.split_once('T').unwrap();
    let [year, month, day] = date.splitn(3, '-').collect::<Vec<_>>()[..] else {
        panic!("{text}")
    };
    let month = MONTHS[month.parse::<usize>().unwrap() - 1];
    format!("{day}-{month}-{year} {} +0000", &time[..8])
}

fn until_cases(bench: &Bench, n: usize) {
    let there = |v: &serde_json::Value| v.as_array().is_some_and(|all| all.len() == n);
    bench.until(&["case", "list"], &format!("{n} cases"), there);
}

#[test]
fn a_mail_that_is_not_handed_over_does_not_hold_up_those_behind_it() {
    let odd = Odd::start(&[]);
    let bench = odd.project();
    let server = bench.serve();
    odd.until_idle();
    let hands = |id, hands| Mail {
        hands,
        ..mail(id, 0)
    };
    odd.take(&[
        hands("broken", Hands::Refuses),
        hands("endless", Hands::Floods),
        mail("good", 0),
    ]);
    until_cases(&bench, 1);
    bench.run(&["status"]).expect(
        0,
        &[
            "2 mails were refused by `mail`",
            "the last one has UID 2: it was fetched 3 times in vain",
        ],
    );
    assert_eq!(server.stop(), 0);
}

#[test]
fn other_numbers_bring_what_was_missed_and_no_history() {
    let old = [mail("ancient", MONTHS_AGO), mail("before", HOUR)];
    let odd = Odd::start(&old);
    let bench = odd.project();
    let server = bench.serve();
    odd.until_idle();
    odd.take(&[mail("first", 0)]);
    until_cases(&bench, 1);
    assert_eq!(server.stop(), 0);

    // What came before the first contact stays out, even of the same day; what came while nobody looked is taken.
    let more = [mail("first", 0), mail("missed", 0)];
    odd.renumber(8, &[old, more].concat());
    let server = bench.serve();
    until_cases(&bench, 2);
    odd.until_idle();
    assert_eq!(server.stop(), 0);
    for uid in [1, 2] {
        let body = format!("UID FETCH {uid} (BODY");
        assert!(!odd.was_told(&body), "{body}");
    }

    // In a mailbox to which nothing has come for months, nothing is found; then only what comes is taken.
    let quiet = ["ancient", "before", "first", "other"].map(|id| mail(id, MONTHS_AGO));
    odd.renumber(9, &quiet);
    let server = bench.serve();
    odd.until_idle();
    odd.take(&[mail("new", 0)]);
    until_cases(&bench, 3);
    assert_eq!(server.stop(), 0);
    for uid in 1..=4 {
        assert!(!odd.was_told(&format!("UID FETCH {uid} ")), "{uid}");
    }
    assert!(odd.was_told("UID FETCH 5 (BODY"));
}
