//! A mailbox over IMAP: log in, see what is new, fetch it, wait for more. The mailbox is opened for reading alone, so
//! nothing in it changes and people may go on using it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tl_wire::imap::{Answer, End, Fetched, ImapError, plain, quoted, take};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Time for the connection, and for each answer of the server.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of an answer that carries no mail.
const SMALL: usize = 64 * 1024;
/// Answers to one command at most: what has become known beside it.
const MOST_ANSWERS: usize = 100_000;

/// Where a mailbox is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// Host name, which the server's certificate has to bear.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Encrypted from the first byte; without it only this machine is reached.
    pub tls: bool,
    /// User.
    pub user: String,
    /// Name of the folder in the mailbox.
    pub folder: String,
}

/// Why a mailbox cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum MailboxError {
    /// There is no connection.
    #[error("{0} cannot be reached: {1}")]
    Unreachable(String, io::Error),
    /// The connection ended.
    #[error("the connection ended: {0}")]
    Ended(#[from] io::Error),
    /// The server did not answer in time.
    #[error("the server did not answer within 60 s")]
    Slow,
    /// This machine trusts no authority, or the name is none.
    #[error("no encrypted connection: {0}")]
    Tls(String),
    /// The server refused a command.
    #[error("the server refused to {0}: {1}")]
    Refused(&'static str, String),
    /// What the server said is no answer that is taken.
    #[error("{0}")]
    Wire(#[from] ImapError),
    /// The server said goodbye.
    #[error("the server ended the connection")]
    Bye,
    /// The server does not number its mails so that a place among them can be kept.
    #[error(
        "the server does not say {0} when it opens the folder, so nobody could tell what was read already; use another \
         server or folder"
    )]
    Unnumbered(&'static str),
    /// The server has a mail and does not hand it over.
    #[error("the server did not send the mail with its answer")]
    Bodiless,
}

/// What a server says of itself where it is in trouble that will pass (RFC 5530).
const PASSING: [&str; 3] = ["[UNAVAILABLE", "[INUSE", "[LIMIT"];
/// How often one mail is asked for that the server does not hand over.
const TRIES: u32 = 3;
/// How often one mail is asked for at which the connection ends each time: that may be the network's fault too.
const PATIENT_TRIES: u32 = 10;

impl MailboxError {
    /// How often one mail is fetched before it is given up; nothing where waiting helps.
    pub fn tries(&self) -> Option<u32> {
        match self {
            MailboxError::Refused(_, said) => {
                let said = said.to_ascii_uppercase();
                let passes = PASSING.iter().any(|code| said.contains(code));
                (!passes).then_some(TRIES)
            }
            MailboxError::Wire(_) | MailboxError::Bodiless => Some(TRIES),
            MailboxError::Ended(_) | MailboxError::Slow | MailboxError::Bye => Some(PATIENT_TRIES),
            MailboxError::Unreachable(..) | MailboxError::Tls(_) | MailboxError::Unnumbered(_) => {
                None
            }
        }
    }

    /// Whether the next command can be said in the same session.
    pub fn leaves_the_session(&self) -> bool {
        matches!(self, MailboxError::Refused(..) | MailboxError::Bodiless)
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// A mailbox that is open.
pub struct Session {
    stream: Box<dyn Stream>,
    held: Vec<u8>,
    commands: u32,
    idle: bool,
    /// The number of mails has changed since they were searched.
    changed: bool,
    /// While it stays the same, a number names the same mail for ever.
    pub validity: u32,
    /// The number that the next mail will have at least.
    pub next: u32,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

impl Session {
    /// Logs in and opens the folder.
    pub async fn open(mailbox: &Mailbox, password: &str) -> Result<Session, MailboxError> {
        let stream = within(connect(mailbox)).await?;
        let mut session = Session {
            stream,
            held: Vec::new(),
            commands: 0,
            idle: false,
            changed: false,
            validity: 0,
            next: 0,
        };
        session.answer(SMALL).await?;
        session.log_in(&mailbox.user, password).await?;
        let answers = session
            .command("say what it can", "CAPABILITY", SMALL)
            .await?;
        session.idle = answers.iter().any(|a| a.can("IDLE"));
        let open = format!("EXAMINE {}", quoted(&mailbox.folder)?);
        for answer in session.command("open the folder", &open, SMALL).await? {
            session.validity = answer.status("UIDVALIDITY").unwrap_or(session.validity);
            session.next = answer.status("UIDNEXT").unwrap_or(session.next);
        }
        match (session.validity, session.next) {
            (0, _) => Err(MailboxError::Unnumbered("UIDVALIDITY")),
            (_, 0) => Err(MailboxError::Unnumbered("UIDNEXT")),
            _ => Ok(session),
        }
    }

    async fn log_in(&mut self, user: &str, password: &str) -> Result<(), MailboxError> {
        let tag = self.say("AUTHENTICATE PLAIN").await?;
        loop {
            let asked = self.answer(SMALL).await?;
            if let Some(End::Refused(said)) = asked.end(&tag) {
                return Err(MailboxError::Refused("log in", said));
            }
            if asked.is_continuation() {
                break;
            }
        }
        let line = plain(user, password)?;
        self.write(&format!("{line}\r\n")).await?;
        self.until(&tag, "log in", SMALL).await.map(drop)
    }

    /// The numbers of mails above one, in order; with a day (`1-Nov-2026`) only those that came since.
    pub async fn newer(
        &mut self,
        than: u32,
        since: Option<&str>,
    ) -> Result<Vec<u32>, MailboxError> {
        let day = since.map_or_else(String::new, |day| format!(" SINCE {day}"));
        let search = format!("UID SEARCH UID {}:*{day}", than.saturating_add(1));
        // What comes from here on may be found already or not; then it is searched once more.
        self.changed = false;
        let answers = self.command("search", &search, SMALL).await?;
        let mut found: Vec<u32> = answers.iter().filter_map(Answer::found).flatten().collect();
        // The last mail is found by `*` even where it is not above.
        found.retain(|uid| *uid > than);
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// How long a mail is and when the server took it. Nothing where it is gone.
    pub async fn about(&mut self, uid: u32) -> Result<Option<Fetched>, MailboxError> {
        let ask = format!("UID FETCH {uid} (RFC822.SIZE INTERNALDATE)");
        let answers = self.command("fetch a mail", &ask, SMALL).await?;
        // A server may say something else of the same mail first, such as its flags.
        let of_it = answers.iter().filter_map(Answer::fetched);
        let of_it = of_it.filter(|m| m.uid == uid);
        Ok(of_it.reduce(|a, b| Fetched {
            size: a.size.or(b.size),
            taken_at: a.taken_at.or(b.taken_at),
            ..a
        }))
    }

    /// The whole of a mail of at most so many bytes. Nothing where it is gone.
    pub async fn whole(&mut self, uid: u32, most: u32) -> Result<Option<Vec<u8>>, MailboxError> {
        let ask = format!("UID FETCH {uid} (BODY.PEEK[])");
        // Servers count a little differently from what they send.
        let room = (most as usize).saturating_add(SMALL);
        let answers = self.command("fetch a mail", &ask, room).await?;
        let mut there = false;
        for mail in answers.iter().filter_map(Answer::fetched) {
            if mail.uid == uid {
                there = true;
                if mail.body.is_some() {
                    return Ok(mail.body);
                }
            }
        }
        match there {
            true => Err(MailboxError::Bodiless),
            false => Ok(None),
        }
    }

    /// Waits until the server says that there is more, or for so long. Not at all where it said so meanwhile.
    pub async fn wait(&mut self, long: Duration, poll: Duration) -> Result<(), MailboxError> {
        if self.changed {
            return Ok(());
        }
        if !self.idle {
            tokio::time::sleep(poll.min(long)).await;
            return Ok(());
        }
        let tag = self.say("IDLE").await?;
        // Where it was heard, and where the time is over, the waiting ends alike.
        timeout(long, self.news(&tag)).await.unwrap_or(Ok(()))?;
        self.write("DONE\r\n").await?;
        self.until(&tag, "wait", SMALL).await.map(drop)
    }

    /// Reads until the number of mails has changed.
    async fn news(&mut self, tag: &str) -> Result<(), MailboxError> {
        loop {
            let answer = self.read(SMALL).await?;
            if let Some(End::Refused(said)) = answer.end(tag) {
                return Err(MailboxError::Refused("wait", said));
            }
            if self.changed {
                return Ok(());
            }
        }
    }

    async fn command(
        &mut self,
        what: &'static str,
        text: &str,
        most: usize,
    ) -> Result<Vec<Answer>, MailboxError> {
        let tag = self.say(text).await?;
        self.until(&tag, what, most).await
    }

    /// Everything that is said up to the end of a command.
    async fn until(
        &mut self,
        tag: &str,
        what: &'static str,
        most: usize,
    ) -> Result<Vec<Answer>, MailboxError> {
        let mut answers = Vec::new();
        while answers.len() < MOST_ANSWERS {
            let answer = self.answer(most).await?;
            match answer.end(tag) {
                Some(End::Done) => return Ok(answers),
                Some(End::Refused(said)) => return Err(MailboxError::Refused(what, said)),
                None => answers.push(answer),
            }
        }
        Err(ImapError::TooLong.into())
    }

    async fn say(&mut self, text: &str) -> Result<String, MailboxError> {
        self.commands += 1;
        let tag = format!("a{}", self.commands);
        self.write(&format!("{tag} {text}\r\n")).await?;
        Ok(tag)
    }

    async fn write(&mut self, text: &str) -> Result<(), MailboxError> {
        within(async {
            self.stream.write_all(text.as_bytes()).await?;
            self.stream.flush().await?;
            Ok(())
        })
        .await
    }

    async fn answer(&mut self, most: usize) -> Result<Answer, MailboxError> {
        within(self.read(most)).await
    }

    /// The next answer, however long it takes.
    async fn read(&mut self, most: usize) -> Result<Answer, MailboxError> {
        loop {
            if let Some(answer) = take(&mut self.held, most)? {
                self.changed |= answer.is_exists();
                return match answer.is_bye() {
                    true => Err(MailboxError::Bye),
                    false => Ok(answer),
                };
            }
            if self.stream.read_buf(&mut self.held).await? == 0 {
                return Err(MailboxError::Bye);
            }
        }
    }
}

/// Gives up when it takes too long.
async fn within<T>(work: impl Future<Output = Result<T, MailboxError>>) -> Result<T, MailboxError> {
    timeout(PATIENCE, work)
        .await
        .unwrap_or(Err(MailboxError::Slow))
}

async fn connect(mailbox: &Mailbox) -> Result<Box<dyn Stream>, MailboxError> {
    let at = (mailbox.host.as_str(), mailbox.port);
    let stream = TcpStream::connect(at).await.map_err(|e| {
        let place = format!("{}:{}", mailbox.host, mailbox.port);
        MailboxError::Unreachable(place, e)
    })?;
    if !mailbox.tls {
        return Ok(Box::new(stream));
    }
    let tls = |e: &dyn std::fmt::Display| MailboxError::Tls(e.to_string());
    let name = ServerName::try_from(mailbox.host.clone()).map_err(|e| tls(&e))?;
    let config = settings().map_err(MailboxError::Tls)?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream);
    Ok(Box::new(stream.await.map_err(|e| tls(&e))?))
}

/// The authorities that this machine trusts.
fn settings() -> Result<ClientConfig, String> {
    let mut store = RootCertStore::empty();
    // What cannot be read among them is passed over: machines carry old ones.
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if store.is_empty() {
        return Err("this machine trusts no authority".into());
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?;
    Ok(config.with_root_certificates(store).with_no_client_auth())
}
