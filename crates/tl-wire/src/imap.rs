//! IMAP4rev1 (RFC 3501) as far as fetching new mail needs it: what a client says as bytes, and what a server says from
//! bytes. No socket: whoever has one gives the bytes in and takes the answers out.

use mail_parser::DateTime;

/// The months as IMAP names them.
pub const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
/// Longest line of an answer without its literals, bytes; a search over many mails is one line.
const MAX_LINE: usize = 1024 * 1024;
/// Most literals in one answer; a mail is one.
const MAX_LITERALS: usize = 8;

/// One complete answer: its text, in which `{}` stands for each literal, and the literals.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The text without the line end.
    pub text: String,
    /// What came as counted bytes.
    pub literals: Vec<Vec<u8>>,
}

/// Why bytes are no answer that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImapError {
    /// More than a line, or than a mail that is wanted.
    #[error("the server sent more than was asked for")]
    TooLong,
    /// A text cannot be said in a command.
    #[error("a name or password holds a character that cannot be sent")]
    Unsayable,
}

/// Takes the first complete answer off the bytes that have come. Nothing while more have to come.
pub fn take(held: &mut Vec<u8>, most: usize) -> Result<Option<Answer>, ImapError> {
    let mut answer = Answer::default();
    let mut at = 0;
    loop {
        let Some(end) = held[at..].iter().position(|b| *b == b'\n') else {
            let open = held.len() - at;
            return if open > MAX_LINE {
                Err(ImapError::TooLong)
            } else {
                Ok(None)
            };
        };
        let line = held[at..at + end]
            .strip_suffix(b"\r")
            .unwrap_or(&held[at..at + end]);
        at += end + 1;
        if answer.text.len() + line.len() > MAX_LINE {
            return Err(ImapError::TooLong);
        }
        let line = String::from_utf8_lossy(line).into_owned();
        let Some((before, length)) = literal(&line) else {
            answer.text.push_str(&line);
            held.drain(..at);
            return Ok(Some(answer));
        };
        if length > most || answer.literals.len() >= MAX_LITERALS {
            return Err(ImapError::TooLong);
        }
        let Some(bytes) = held.get(at..at + length) else {
            return Ok(None);
        };
        answer.literals.push(bytes.to_vec());
        answer.text.push_str(before);
        answer.text.push_str("{}");
        at += length;
    }
}

/// The length of the literal that a line announces at its end, and what stands before it.
fn literal(line: &str) -> Option<(&str, usize)> {
    let (before, number) = line.strip_suffix('}')?.rsplit_once('{')?;
    Some((before, number.parse().ok()?))
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It was done.
    Done,
    /// It was not; what the server says of it.
    Refused(String),
}

/// What is known of a fetched mail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Its number, which never changes while the UIDVALIDITY stays.
    pub uid: u32,
    /// Its length, bytes.
    pub size: Option<u32>,
    /// When the server took it, UTC microseconds.
    pub taken_at: Option<i64>,
    /// The whole of it.
    pub body: Option<Vec<u8>>,
}

impl Answer {
    /// How the command of a tag ended, where this is the line that says so.
    pub fn end(&self, tag: &str) -> Option<End> {
        let (own, rest) = self.text.split_once(' ')?;
        if own != tag {
            return None;
        }
        let word = rest.split(' ').next().unwrap_or_default();
        Some(match word.eq_ignore_ascii_case("OK") {
            true => End::Done,
            false => End::Refused(rest.to_owned()),
        })
    }

    /// The server waits for the rest of a command.
    pub fn is_continuation(&self) -> bool {
        self.text == "+" || self.text.starts_with("+ ")
    }

    /// The server ends the connection.
    pub fn is_bye(&self) -> bool {
        self.untagged().is_some_and(|t| word_is(t, 0, "BYE"))
    }

    /// The number of mails has changed.
    pub fn is_exists(&self) -> bool {
        self.untagged().is_some_and(|t| word_is(t, 1, "EXISTS"))
    }

    /// A number in a bracket of a status line: `* OK [UIDVALIDITY 7]`.
    pub fn status(&self, name: &str) -> Option<u32> {
        let bracket = self.untagged()?.split_once('[')?.1.split(']').next()?;
        let (own, number) = bracket.split_once(' ')?;
        let fits = own.eq_ignore_ascii_case(name);
        number.parse().ok().filter(|_| fits)
    }

    /// Whether this lists what the server can do, and this is among it.
    pub fn can(&self, what: &str) -> bool {
        let text = self.untagged().filter(|t| word_is(t, 0, "CAPABILITY"));
        let mut words = text.unwrap_or_default().split(' ').skip(1);
        words.any(|word| word.eq_ignore_ascii_case(what))
    }

    /// The numbers that a search found.
    pub fn found(&self) -> Option<Vec<u32>> {
        let text = self.untagged().filter(|t| word_is(t, 0, "SEARCH"))?;
        let numbers = text.split_ascii_whitespace().skip(1);
        Some(numbers.filter_map(|n| n.parse().ok()).collect())
    }

    /// A fetched mail.
    pub fn fetched(&self) -> Option<Fetched> {
        let text = self.untagged().filter(|t| word_is(t, 1, "FETCH"))?;
        let parts = parts(text);
        let after = |name: &str| {
            let is_it = |p: &Part| matches!(p, Part::Word(w) if w.eq_ignore_ascii_case(name));
            parts.get(parts.iter().position(is_it)? + 1)
        };
        let number = |name| match after(name)? {
            Part::Word(word) => word.parse().ok(),
            _ => None,
        };
        let body = match after("BODY[]") {
            Some(Part::Literal(at)) => self.literals.get(*at).cloned(),
            // A short mail of one line may come so.
            Some(Part::Quoted(text)) => Some(text.clone().into_bytes()),
            _ => None,
        };
        Some(Fetched {
            uid: number("UID")?,
            size: number("RFC822.SIZE"),
            taken_at: match after("INTERNALDATE") {
                Some(Part::Quoted(text)) => internal_date(text),
                _ => None,
            },
            body,
        })
    }

    fn untagged(&self) -> Option<&str> {
        self.text.strip_prefix("* ")
    }
}

/// A part of what is said of a mail.
enum Part {
    Word(String),
    Quoted(String),
    /// The literal of this position.
    Literal(usize),
}

/// The parts of the list that an answer holds. Lists within it, such as flags, are passed over: people may give flags
/// any name.
fn parts(text: &str) -> Vec<Part> {
    let mut out = Vec::new();
    let (mut depth, mut literals) = (0, 0);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let part = match c {
            ' ' => continue,
            '(' | ')' => {
                depth += if c == '(' { 1 } else { -1 };
                continue;
            }
            '"' => {
                let mut quoted = String::new();
                while let Some(c) = chars.next().filter(|c| *c != '"') {
                    quoted.extend(if c == '\\' { chars.next() } else { Some(c) });
                }
                Part::Quoted(quoted)
            }
            first => {
                let mut word = String::from(first);
                while let Some(c) = chars.next_if(|c| !matches!(c, ' ' | '(' | ')')) {
                    word.push(c);
                }
                match word.as_str() {
                    "{}" => {
                        literals += 1;
                        Part::Literal(literals - 1)
                    }
                    _ => Part::Word(word),
                }
            }
        };
        if depth == 1 {
            out.push(part);
        }
    }
    out
}

/// `17-Jul-1996 02:44:25 -0700` as UTC microseconds; a day of one digit may have a blank in front.
fn internal_date(text: &str) -> Option<i64> {
    let mut words = text.split_ascii_whitespace();
    let (date, time, zone) = (words.next()?, words.next()?, words.next()?);
    let date: Vec<&str> = date.split('-').collect();
    let time: Vec<&str> = time.split(':').collect();
    let ([day, month, year], [hour, minute, second]) = (date.as_slice(), time.as_slice()) else {
        return None;
    };
    let is_it = |name: &&str| name.eq_ignore_ascii_case(month);
    let month = MONTHS.iter().position(is_it)? + 1;
    let (sign, zone) = zone.split_at_checked(1)?;
    let (tz_hour, tz_minute) = zone.split_at_checked(2)?;
    let date = DateTime {
        year: year.parse().ok()?,
        month: u8::try_from(month).ok()?,
        day: day.parse().ok()?,
        hour: hour.parse().ok()?,
        minute: minute.parse().ok()?,
        second: second.parse().ok()?,
        tz_before_gmt: sign == "-",
        tz_hour: tz_hour.parse().ok()?,
        tz_minute: tz_minute.parse().ok()?,
    };
    let seconds = date.is_valid().then(|| date.to_timestamp())?;
    Some(seconds.saturating_mul(1_000_000))
}

fn word_is(text: &str, at: usize, word: &str) -> bool {
    let found = text.split(' ').nth(at);
    found.is_some_and(|w| w.eq_ignore_ascii_case(word))
}

/// A name as a quoted text.
pub fn quoted(text: &str) -> Result<String, ImapError> {
    if !text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Err(ImapError::Unsayable);
    }
    Ok(format!(
        "\"{}\"",
        text.replace('\\', "\\\\").replace('"', "\\\"")
    ))
}

/// What `AUTHENTICATE PLAIN` says: user and password (RFC 4616).
pub fn plain(user: &str, password: &str) -> Result<String, ImapError> {
    use base64::Engine as _;
    if user.contains('\0') || password.contains('\0') {
        return Err(ImapError::Unsayable);
    }
    let text = format!("\0{user}\0{password}");
    Ok(base64::engine::general_purpose::STANDARD.encode(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Answer {
        Answer {
            text: text.into(),
            literals: Vec::new(),
        }
    }

    #[test]
    fn an_answer_is_taken_when_all_of_it_has_come() {
        let whole = b"* 3 FETCH (UID 5 BODY[] {6}\r\na)\r\nb\n FLAGS ())\r\na1 OK done\r\n";
        for cut in 0..whole.len() {
            let mut held = whole[..cut].to_vec();
            let mut taken = 0;
            while take(&mut held, 10).unwrap().is_some() {
                taken += 1;
            }
            let first = whole.len() - b"a1 OK done\r\n".len();
            assert_eq!(taken, usize::from(cut >= first), "{cut}");
        }
        let mut held = whole.to_vec();
        let first = take(&mut held, 10).unwrap().unwrap();
        assert_eq!(first.text, "* 3 FETCH (UID 5 BODY[] {} FLAGS ())");
        let fetched = first.fetched().unwrap();
        assert_eq!(
            (fetched.uid, fetched.body.as_deref()),
            (5, Some(&b"a)\r\nb\n"[..]))
        );
        let last = take(&mut held, 10).unwrap().unwrap();
        assert_eq!(last.end("a1"), Some(End::Done));
        assert_eq!(last.end("a2"), None);
        assert_eq!(take(&mut held, 10), Ok(None));
        assert_eq!(take(&mut whole.to_vec(), 5), Err(ImapError::TooLong));
        assert_eq!(
            take(&mut vec![b'x'; MAX_LINE + 1], 5),
            Err(ImapError::TooLong)
        );
    }

    #[test]
    fn what_a_server_says_is_understood() {
        assert_eq!(
            answer("* OK [UIDVALIDITY 17] ok").status("UIDVALIDITY"),
            Some(17)
        );
        assert_eq!(answer("* ok [uidnext 9]").status("UIDNEXT"), Some(9));
        assert_eq!(answer("* OK ready").status("UIDNEXT"), None);
        assert_eq!(answer("* SEARCH 2 84").found(), Some(vec![2, 84]));
        assert_eq!(answer("* SEARCH").found(), Some(Vec::new()));
        assert_eq!(answer("* 2 EXISTS").found(), None);
        assert!(answer("* 2 EXISTS").is_exists() && !answer("* 2 RECENT").is_exists());
        assert!(answer("* CAPABILITY IMAP4rev1 IDLE").can("idle"));
        assert!(!answer("* CAPABILITY IMAP4rev1 IDLEX").can("IDLE"));
        assert!(answer("* BYE out").is_bye() && answer("+ idling").is_continuation());
        let refused = End::Refused("NO [AUTHENTICATIONFAILED] no".into());
        assert_eq!(
            answer("a2 NO [AUTHENTICATIONFAILED] no").end("a2"),
            Some(refused)
        );
        let sized = answer("* 1 FETCH (RFC822.SIZE 90 UID 4)")
            .fetched()
            .unwrap();
        assert_eq!((sized.uid, sized.size, sized.body), (4, Some(90), None));
        assert_eq!(answer("* 1 FETCH (FLAGS ())").fetched(), None);
    }

    #[test]
    fn what_is_said_of_a_mail_is_told_from_its_flags_and_texts() {
        let said = |text: &str| Answer {
            text: format!("* 3 FETCH ({text})"),
            literals: vec![b"first".to_vec(), b"second".to_vec()],
        };
        // What is said; the size, the seconds at which it was taken, and the text.
        type Row = (&'static str, Option<u32>, Option<i64>, Option<&'static str>);
        #[rustfmt::skip]
        let table: [Row; 9] = [
            ("UID 5 FLAGS (\\Seen)", None, None, None),
            ("UID 5 BODY[] {}", None, None, Some("first")),
            ("ENVELOPE {} UID 5 BODY[] {}", None, None, Some("second")),
            ("UID 5 BODY[] \"Subject: \\\"a\\\" {} (b\"", None, None, Some("Subject: \"a\" {} (b")),
            ("BODY[] NIL UID 5", None, None, None),
            ("FLAGS (UID 9 BODY[] x) UID 5 RFC822.SIZE 12", Some(12), None, None),
            ("UID 5 INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" RFC822.SIZE 7", Some(7), Some(837_596_665), None),
            ("UID 5 INTERNALDATE \" 1-jan-1970 01:00:00 +0100\"", None, Some(0), None),
            ("UID 5 INTERNALDATE \"yesterday\"", None, None, None),
        ];
        for (text, size, seconds, body) in table {
            let fetched = said(text).fetched().unwrap();
            assert_eq!((fetched.uid, fetched.size), (5, size), "{text}");
            assert_eq!(fetched.taken_at, seconds.map(|s| s * 1_000_000), "{text}");
            assert_eq!(fetched.body.as_deref(), body.map(str::as_bytes), "{text}");
        }
    }

    #[test]
    fn names_and_passwords_stay_within_their_quotes() {
        assert_eq!(quoted("IN\"BOX\\"), Ok("\"IN\\\"BOX\\\\\"".to_owned()));
        for bad in ["a\r\nb", "é", "a\0"] {
            assert_eq!(quoted(bad), Err(ImapError::Unsayable), "{bad:?}");
        }
        assert_eq!(plain("u", "p"), Ok("AHUAcA==".to_owned()));
        assert_eq!(plain("u\0", "p"), Err(ImapError::Unsayable));
    }
}
