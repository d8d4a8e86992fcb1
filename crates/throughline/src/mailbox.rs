//! Mail from mailboxes over IMAP. Every new mail is brought to its door like a message over HTTP; how far a mailbox has
//! been read is kept in the database. That is noted after the commit: what was taken and not noted is known again.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use tl_connect::imap::{self, MailboxError, Session};
use tl_kernel::digest::{hex, sha256};
use tl_kernel::id::TenantId;
use tl_kernel::time::{DAY, SECOND, rfc3339};
use tl_store::contract::{Row, Unit};
use tl_web::{Carried, Carrier};
use tl_wire::imap::MONTHS;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::mail_folder::door_and_place;
use crate::serve::pause;

/// How long a server is left to say by itself that there is more; servers end such a wait after half an hour.
const IDLE: Duration = Duration::from_secs(9 * 60);
/// How often a server is asked that cannot say so by itself.
const POLL: Duration = Duration::from_secs(30);
/// The first pause after a failure; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// The longest pause after a failure.
const LONGEST_PAUSE: Duration = Duration::from_secs(5 * 60);
/// Where the numbers of a mailbox have changed, mail of so long is looked through again, µs; dedupe keys live longer.
const LOOK_BACK: i64 = 30 * DAY;
/// How a message says that it came out of a mailbox.
const BY: &str = "imap";

/// A mailbox that is read, and the door to which its mail goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// Name of the tenant.
    pub tenant: String,
    /// Name of the endpoint.
    pub endpoint: String,
    at: imap::Mailbox,
    secret: Secret,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Secret {
    Env(String),
    File(String),
}

impl Mailbox {
    /// Reads `ENDPOINT=imaps://USER@HOST:PORT/FOLDER?secret=file:PATH`.
    pub fn parse(text: &str, tenant: &str) -> Option<Mailbox> {
        let (tenant, endpoint, url) = door_and_place(text, tenant)?;
        let (scheme, rest) = url.split_once("://")?;
        let (rest, query) = rest.split_once('?')?;
        let secret = match query.strip_prefix("secret=")?.split_once(':')? {
            ("env", name) if !name.is_empty() => Secret::Env(name.to_owned()),
            ("file", path) if !path.is_empty() => Secret::File(path.to_owned()),
            _ => return None,
        };
        let (authority, folder) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, host) = authority.rsplit_once('@')?;
        let tls = match scheme {
            "imaps" => true,
            "imap" => false,
            _ => return None,
        };
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (host, if tls { 993 } else { 143 }),
        };
        let here = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        let folder = match folder {
            "" => "INBOX".to_owned(),
            folder => decoded(folder)?,
        };
        let named = !user.is_empty() && !host.is_empty() && (tls || here);
        named.then_some(Mailbox {
            tenant: tenant.to_owned(),
            endpoint: endpoint.to_owned(),
            at: imap::Mailbox {
                host: host.to_owned(),
                port,
                tls,
                user: decoded(user)?,
                folder,
            },
            secret,
        })
    }

    /// Its name among the places that mail is fetched from.
    pub fn place(&self) -> String {
        let imap::Mailbox {
            host, user, folder, ..
        } = &self.at;
        format!("{user} at {host}, {folder}")
    }

    fn door(&self) -> (&str, &str) {
        (&self.tenant, &self.endpoint)
    }

    fn password(&self, dir: &Path) -> Result<String, String> {
        let text = match &self.secret {
            Secret::Env(name) => std::env::var(name)
                .map_err(|_| format!("the environment variable {name} is not set")),
            Secret::File(path) => {
                let path = dir.join(path);
                std::fs::read_to_string(&path)
                    .map_err(|e| format!("cannot read {}: {e}", path.display()))
            }
        }?;
        Ok(text.lines().next().unwrap_or_default().to_owned())
    }

    /// The name under which it is kept when it was first read, µs: what is older is nobody's business here.
    fn known(&self) -> String {
        let place = format!("{}/{} {}", self.tenant, self.endpoint, self.place());
        format!("imap:{}", &hex(&sha256(&[place.as_bytes()]))[..32])
    }

    /// The name under which it is kept how far it has been read. Its numbers say something only while the UIDVALIDITY
    /// stays.
    fn cursor(&self, validity: u32) -> String {
        format!("{}:{validity}", self.known())
    }

    /// The name under which it is kept how far it has been looked through after its numbers changed.
    fn look_back(&self, validity: u32) -> String {
        format!("{}:back", self.cursor(validity))
    }
}

/// How far a mailbox has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Read {
    /// The last number that is through.
    last: u32,
    /// While it is looked through again, only mail that was taken since then counts, µs.
    since: Option<i64>,
}

/// The mail that could not be fetched last, by UIDVALIDITY and UID, and how often in a row.
#[derive(Debug, Default)]
struct Stuck {
    mail: Option<(u32, u32)>,
    times: u32,
}

impl Stuck {
    /// Counts a failure; how many there were.
    fn again(&mut self, mail: (u32, u32)) -> u32 {
        if self.mail != Some(mail) {
            *self = Stuck {
                mail: Some(mail),
                times: 0,
            };
        }
        self.times += 1;
        self.times
    }
}

/// Text with `%40` and its like.
fn decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        match b {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                let mut byte = [0];
                hex::decode_to_slice(digits, &mut byte).ok()?;
                out.push(byte[0]);
            }
            b => out.push(b),
        }
    }
    String::from_utf8(out).ok()
}

/// Reads a mailbox until it is time to stop.
pub async fn watch(app: &App, carrier: &Carrier, mailbox: &Mailbox, stop: &CancellationToken) {
    let mut rest = FIRST_PAUSE;
    let mut stuck = Stuck::default();
    let place = mailbox.place();
    loop {
        let mut reader = Reader {
            app,
            carrier,
            mailbox,
            stuck: &mut stuck,
            well: false,
        };
        let trouble = tokio::select! {
            () = stop.cancelled() => return,
            ended = reader.read() => ended.err().unwrap_or_default(),
        };
        if reader.well {
            rest = FIRST_PAUSE;
        }
        if app.places.note(&place, Some(trouble.clone())) {
            tracing::warn!(endpoint = mailbox.endpoint, "mailbox: {trouble}");
        }
        if !pause(rest, stop).await {
            return;
        }
        rest = (rest * 2).min(LONGEST_PAUSE);
    }
}

struct Reader<'a> {
    app: &'a App,
    carrier: &'a Carrier,
    mailbox: &'a Mailbox,
    /// It outlives the connection.
    stuck: &'a mut Stuck,
    /// It got as far as waiting for more, or got rid of a mail that held up the others.
    well: bool,
}

impl Reader<'_> {
    /// One connection, from its beginning to what ends it.
    async fn read(&mut self) -> Result<(), String> {
        let (tenant, endpoint) = self.mailbox.door();
        let Some(most) = self.carrier.most((tenant, endpoint)).await else {
            return Err(format!(
                "there is no open door `{tenant}/{endpoint}` that takes mail"
            ));
        };
        let password = self.mailbox.password(&self.app.config.dir)?;
        let mut session = Session::open(&self.mailbox.at, &password)
            .await
            .map_err(text)?;
        let mut read = self.begin(&session).await?;
        loop {
            // A search knows days, in the server's own zone: the hours are compared mail by mail.
            let from = read.since.map(|since| day(since.saturating_sub(DAY)));
            let found = session.newer(read.last, from.as_deref()).await;
            for uid in found.map_err(text)? {
                self.take(&mut session, uid, (most, read)).await?;
                read.last = uid;
                self.keep(session.validity, read).await?;
            }
            if read.since.is_some() {
                // What was not found is older, and stays so.
                read.last = read.last.max(session.next.saturating_sub(1));
                read.since = None;
                self.keep(session.validity, read).await?;
            }
            self.well = true;
            if self.app.places.note(&self.mailbox.place(), None) {
                tracing::info!(endpoint, "the mailbox is read");
            }
            session.wait(IDLE, POLL).await.map_err(text)?;
        }
    }

    /// Where to begin. At the first contact only what comes from now on is taken. Where the numbers have changed, they
    /// say nothing of what was read: mail of some weeks is looked through, and what is known is known. What was there
    /// before the first contact is none of it.
    async fn begin(&self, session: &Session) -> Result<Read, String> {
        let kept = async |name| {
            let store = self.app.desk.store();
            let kept = store.cursor(TenantId::SYSTEM, name).await;
            kept.map_err(|e| e.to_string())
        };
        // One more than the number, so that 0 is none.
        let number = |next: i64| u32::try_from(next.saturating_sub(1).max(0)).unwrap_or(u32::MAX);
        let next = kept(self.mailbox.cursor(session.validity)).await?;
        if next > 0 {
            let last = number(next);
            return Ok(Read { last, since: None });
        }
        let now = self.app.desk.clock().wall();
        let first = kept(self.mailbox.known()).await?;
        if first > 0 {
            let back = kept(self.mailbox.look_back(session.validity)).await?;
            // Servers say the second in which they took a mail.
            let since = now.saturating_sub(LOOK_BACK).max(first / SECOND * SECOND);
            let (last, since) = (number(back), Some(since));
            return Ok(Read { last, since });
        }
        let last = session.next.saturating_sub(1);
        let next = i64::from(last) + 1;
        let cursor = self.mailbox.cursor(session.validity);
        self.note([(self.mailbox.known(), now.max(1)), (cursor, next)])
            .await?;
        Ok(Read { last, since: None })
    }

    async fn take(
        &mut self,
        session: &mut Session,
        uid: u32,
        (most, read): (u32, Read),
    ) -> Result<(), String> {
        let raw = match fetch(session, uid, (most, read)).await {
            Ok(Fetched::Whole(raw)) => raw,
            Ok(Fetched::PassedOver) => return Ok(()),
            Ok(Fetched::TooLarge) => {
                self.refused(uid, &format!("TL1005 it is larger than {most} bytes"));
                return Ok(());
            }
            Err(e) => return self.failed(session.validity, uid, (e, read)).await,
        };
        match self.carrier.deliver(self.mailbox.door(), raw, BY).await {
            Carried::Taken { .. } => {}
            Carried::Refused(code, why) => self.refused(uid, &format!("{code} {why}")),
            Carried::Later(class) => {
                return Err(format!(
                    "the door takes nothing now ({class}); its mail waits"
                ));
            }
            Carried::NoDoor => return Err("its door was closed; its mail waits".into()),
        }
        Ok(())
    }

    /// A mail could not be fetched: it is tried again, and given up after some tries, so that those behind it come.
    async fn failed(
        &mut self,
        validity: u32,
        uid: u32,
        (e, read): (MailboxError, Read),
    ) -> Result<(), String> {
        let Some(tries) = e.tries() else {
            return Err(text(e));
        };
        if self.stuck.again((validity, uid)) < tries {
            return Err(text(e));
        }
        self.refused(uid, &format!("it was fetched {tries} times in vain: {e}"));
        self.well = true;
        if e.leaves_the_session() {
            return Ok(());
        }
        self.keep(validity, Read { last: uid, ..read }).await?;
        Err(text(e))
    }

    fn refused(&self, uid: u32, why: &str) {
        let last = format!("the last one has UID {uid}: {why}");
        tracing::warn!(
            endpoint = self.mailbox.endpoint,
            uid,
            "a mail of a mailbox was refused"
        );
        self.app.places.refused(&self.mailbox.place(), last);
    }

    /// Notes how far the mailbox has been read.
    async fn keep(&self, validity: u32, read: Read) -> Result<(), String> {
        let name = match read.since {
            Some(_) => self.mailbox.look_back(validity),
            None => self.mailbox.cursor(validity),
        };
        self.note([(name, i64::from(read.last) + 1)]).await
    }

    async fn note<const N: usize>(&self, rows: [(String, i64); N]) -> Result<(), String> {
        let mut unit = Unit::new(TenantId::SYSTEM);
        unit.rows
            .extend(rows.map(|(name, value)| Row::Cursor { name, value }));
        let kept = self.app.desk.store().commit(unit).await;
        kept.map(drop).map_err(|e| e.to_string())
    }
}

/// What became of fetching a mail.
enum Fetched {
    Whole(Vec<u8>),
    TooLarge,
    /// Somebody has deleted it meanwhile, or it is older than what is looked for.
    PassedOver,
}

async fn fetch(
    session: &mut Session,
    uid: u32,
    (most, read): (u32, Read),
) -> Result<Fetched, MailboxError> {
    let Some(about) = session.about(uid).await? else {
        return Ok(Fetched::PassedOver);
    };
    let older = |since| about.taken_at.is_some_and(|at| at < since);
    if read.since.is_some_and(older) {
        return Ok(Fetched::PassedOver);
    }
    if about.size.is_some_and(|size| size > most) {
        return Ok(Fetched::TooLarge);
    }
    let whole = session.whole(uid, most).await?;
    Ok(whole.map_or(Fetched::PassedOver, Fetched::Whole))
}

fn text(e: MailboxError) -> String {
    e.to_string()
}

/// A day as a search names it: `1-Nov-2026`.
fn day(at: i64) -> String {
    let date = rfc3339(at);
    let mut parts = date[..10].split('-');
    let (year, month, day) = (parts.next(), parts.next(), parts.next());
    let month: usize = month.and_then(|m| m.parse().ok()).unwrap_or(1);
    let name = MONTHS.get(month.saturating_sub(1)).unwrap_or(&MONTHS[0]);
    format!("{}-{name}-{}", day.unwrap_or("01"), year.unwrap_or("1970"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_names_a_door_a_mailbox_and_a_secret() {
        let good =
            "acme/mail=imaps://help%40acme.example@mx.acme.example/In%20box?secret=file:s/imap";
        let m = Mailbox::parse(good, "default").unwrap();
        assert_eq!(m.door(), ("acme", "mail"));
        assert_eq!(m.place(), "help@acme.example at mx.acme.example, In box");
        assert_eq!((m.at.port, m.at.tls), (993, true));
        #[rustfmt::skip]
        let table = [
            ("mail=imaps://a@b.example?secret=env:P", true),
            ("mail=imaps://a@acme.example@b.example:1993/?secret=env:P", true),
            ("mail=imap://a@127.0.0.1:143/INBOX?secret=env:P", true),
            ("mail=imap://a@localhost?secret=env:P", true),
            ("mail=imap://a@mx.example?secret=env:P", false),
            ("mail=pop3://a@b.example?secret=env:P", false),
            ("mail=imaps://a@b.example", false),
            ("mail=imaps://a@b.example?secret=hunter2", false),
            ("mail=imaps://a@b.example?secret=env:", false),
            ("mail=imaps://b.example?secret=env:P", false),
            ("mail=imaps://a%4@b.example?secret=env:P", false),
        ];
        for (text, good) in table {
            assert_eq!(Mailbox::parse(text, "default").is_some(), good, "{text}");
        }
    }

    #[test]
    fn a_day_is_named_as_searches_name_it() {
        assert_eq!(day(0), "01-Jan-1970");
        assert_eq!(day(1_794_477_600_000_000), "12-Nov-2026");
    }
}
