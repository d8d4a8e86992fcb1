//! The local socket: one JSON line per request, one per answer. Only the account that runs the server may open
//! it; where there is no server, a command opens the store itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedReadHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use super::{Envelope, Reply, Request, handle};
use crate::app::{App, Mode};
use crate::config::Config;
use crate::failure::Failure;
use crate::keys::random;
use crate::lock::{self, Taken};

/// Name of the socket in the data directory.
const NAME: &str = "control.sock";
/// Longest path of a socket, bytes; the system allows about this.
const LONGEST_PATH: usize = 100;
/// Largest request line, bytes: a project with its files fits.
const MAX_LINE: u64 = 64 * 1024 * 1024;
/// A server that does not answer within this counts as hanging.
const ANSWER: Duration = Duration::from_secs(30);
/// A switch waits less: there is another way.
const ANSWER_SWITCH: Duration = Duration::from_secs(3);
/// A server leaves a question that has less time than this.
const HEADROOM: Duration = Duration::from_millis(100);
/// How long a command waits for another command to finish.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Serialize, Deserialize)]
enum Answer {
    Reply(Box<Reply>),
    Failure(Failure),
}

/// The server's end: the socket, and the directory that was made for it where the data directory's path is too
/// long.
#[derive(Debug)]
pub struct Listening {
    listener: UnixListener,
    /// Where it is.
    pub path: PathBuf,
    _dir: Option<tempfile::TempDir>,
}

/// Opens the socket of a data directory whose lock is held.
pub fn listen(data_dir: &Path) -> Result<Listening, Failure> {
    let failed = |path: &Path, e: &std::io::Error| {
        Failure::unreachable(format!(
            "TL0610 cannot open the control socket {}: {e}",
            path.display()
        ))
    };
    let near = std::path::absolute(data_dir)
        .unwrap_or_else(|_| data_dir.to_owned())
        .join(NAME);
    let (path, dir) = if near.as_os_str().len() <= LONGEST_PATH {
        (near, None)
    } else {
        let dir = tempfile::Builder::new()
            .prefix("throughline-")
            .tempdir()
            .map_err(|e| failed(&near, &e))?;
        (dir.path().join(NAME), Some(dir))
    };
    // The lock is ours, so a socket that is still there belongs to a process that is gone.
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(&path, &e)),
        _ => {}
    }
    let listener = UnixListener::bind(&path).map_err(|e| failed(&path, &e))?;
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&path, private).map_err(|e| failed(&path, &e))?;
    Ok(Listening {
        listener,
        path,
        _dir: dir,
    })
}

impl Listening {
    /// Answers requests until the token is cancelled.
    pub async fn serve(self, app: Arc<App>, stop: CancellationToken) {
        loop {
            let stream = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(e) => {
                        tracing::warn!(error = %e, "control socket");
                        continue;
                    }
                },
            };
            let (app, stop) = (Arc::clone(&app), stop.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    result = converse(stream, &app) => {
                        if let Err(e) = result {
                            tracing::debug!(error = %e, "control connection");
                        }
                    }
                }
            });
        }
        // It may be gone already with its directory.
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn converse(stream: UnixStream, app: &App) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let mut line = String::new();
    loop {
        line.clear();
        if (&mut read).take(MAX_LINE).read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let answer = match serde_json::from_str::<Envelope>(&line) {
            Ok(envelope) if is_late(&envelope) || hung_up(&mut read).await => {
                tracing::warn!(by = %envelope.by, "a command is left undone: whoever gave it has given up");
                Answer::Failure(Failure::conflict("TL0640 this command came too late"))
            }
            Ok(envelope) => match handle(app, envelope).await {
                Ok(reply) => Answer::Reply(Box::new(reply)),
                Err(failure) => Answer::Failure(failure),
            },
            Err(_) => Answer::Failure(Failure::usage(
                "this command and the running server are of different releases",
            )),
        };
        let mut text = serde_json::to_string(&answer).map_err(std::io::Error::other)?;
        text.push('\n');
        write.write_all(text.as_bytes()).await?;
    }
}

/// Whether whoever asked has been told by now that nothing answers.
fn is_late(envelope: &Envelope) -> bool {
    match (envelope.until, uptime()) {
        (Some(until), Some(now)) => now >= until,
        _ => false,
    }
}

/// Whether whoever asked has gone: a line that lay there while the server stood still is not carried out.
async fn hung_up(read: &mut BufReader<OwnedReadHalf>) -> bool {
    // What has come is seen at once; nothing is waited for.
    match tokio::time::timeout(Duration::ZERO, read.fill_buf()).await {
        Ok(Ok(rest)) => rest.is_empty(),
        Ok(Err(_)) => true,
        Err(_) => false,
    }
}

/// Milliseconds since the machine started: the same for client and server, whatever is done to the calendar clock.
/// `None` where the system does not say; a hung-up line still tells.
fn uptime() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/uptime").ok()?;
    let (seconds, hundredths) = text.split_whitespace().next()?.split_once('.')?;
    Some(seconds.parse::<u64>().ok()? * 1_000 + hundredths.parse::<u64>().ok()? * 10)
}

/// A command's way to the installation.
#[derive(Debug)]
pub enum Client {
    /// A running server.
    Server(BufReader<UnixStream>),
    /// The store itself.
    Own(Arc<App>),
}

impl Client {
    /// Finds the server through the lock and speaks to its socket, else opens the store.
    pub async fn connect_or_open(config: &Config) -> Result<Client, Failure> {
        if !config.store.may_hold_data() && !config.dir.join("workflows").is_dir() {
            return Err(nothing_here(config));
        }
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            match lock::take(&config.data_dir)? {
                Taken::Ours(lock) => {
                    let (app, _) = App::open(config.clone(), Some(lock), Mode::Alone).await?;
                    return Ok(Client::Own(app));
                }
                Taken::Theirs(Some(holder)) => {
                    if let Some(path) = &holder.socket {
                        match UnixStream::connect(path).await {
                            Ok(stream) => return Ok(Client::Server(BufReader::new(stream))),
                            Err(e) if tokio::time::Instant::now() >= until => {
                                return Err(Failure::unreachable(format!(
                                    "TL0640 the server (process {}) does not answer at {}: {e}",
                                    holder.pid,
                                    path.display()
                                )));
                            }
                            Err(_) => {}
                        }
                    } else if tokio::time::Instant::now() >= until {
                        return Err(busy(Some(holder.pid)));
                    }
                }
                Taken::Theirs(None) if tokio::time::Instant::now() >= until => {
                    return Err(busy(None));
                }
                Taken::Theirs(None) => {}
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// As above; but a server that does not answer is gone round: a switch is written to the store directly.
    pub async fn for_switch(config: &Config) -> Result<Client, Failure> {
        // A switch in a fresh database would hold nothing, and the operator would believe it did.
        if !config.store.may_hold_data() {
            return Err(nothing_here(config));
        }
        match lock::take(&config.data_dir)? {
            Taken::Ours(lock) => Ok(Client::Own(
                App::open(config.clone(), Some(lock), Mode::Alone).await?.0,
            )),
            Taken::Theirs(holder) => {
                if let Some(path) = holder.and_then(|h| h.socket)
                    && let Ok(Ok(stream)) =
                        tokio::time::timeout(ANSWER_SWITCH, UnixStream::connect(&path)).await
                {
                    return Ok(Client::Server(BufReader::new(stream)));
                }
                Client::guest(config).await
            }
        }
    }

    async fn guest(config: &Config) -> Result<Client, Failure> {
        Ok(Client::Own(
            App::open(config.clone(), None, Mode::Guest).await?.0,
        ))
    }

    /// Asks for a switch; where the server hangs, writes it to the store directly.
    pub async fn ask_for_switch(
        mut self,
        config: &Config,
        mut envelope: Envelope,
    ) -> Result<Reply, Failure> {
        // Both ways bear one name, so that the switch is written once whichever of them comes through, and when.
        envelope.once = Some(hex::encode(random::<16>()?));
        let direct = match &mut self {
            Client::Own(_) => None,
            Client::Server(stream) => {
                let envelope = within(&envelope, ANSWER_SWITCH);
                match tokio::time::timeout(ANSWER_SWITCH, exchange(stream, &envelope)).await {
                    Ok(Ok(answer)) => return answer,
                    _ => Some(Client::guest(config).await?),
                }
            }
        };
        // This hangs up on a server that was asked in vain.
        let mut client = direct.unwrap_or(self);
        client.ask(envelope).await
    }

    /// Asks.
    pub async fn ask(&mut self, envelope: Envelope) -> Result<Reply, Failure> {
        match self {
            Client::Own(app) => handle(app, envelope).await,
            Client::Server(stream) => {
                let envelope = within(&envelope, ANSWER);
                match tokio::time::timeout(ANSWER, exchange(stream, &envelope)).await {
                    Ok(Ok(answer)) => answer,
                    Ok(Err(e)) => Err(Failure::unreachable(format!(
                        "TL0640 the server hung up: {e}. If this was a change, it may have been made: look before you \
                         ask again"
                    ))),
                    Err(_) => Err(Failure::unreachable(format!(
                        "TL0640 the server has not answered for {} s. It does not begin with this any more, but if it \
                         had begun, it may still end it: look before you ask again. `throughline kill` works without it",
                        ANSWER.as_secs()
                    ))),
                }
            }
        }
    }

    /// Lets go of the store.
    pub async fn close(self) {
        if let Client::Own(app) = self {
            app.close().await;
        }
    }
}

/// The same question with the time after which nobody waits for its answer. It ends a moment before the wait does.
fn within(envelope: &Envelope, patience: Duration) -> Envelope {
    let patience = patience.saturating_sub(HEADROOM).as_millis();
    let patience = u64::try_from(patience).unwrap_or(u64::MAX);
    Envelope {
        until: uptime().map(|now| now.saturating_add(patience)),
        ..envelope.clone()
    }
}

async fn exchange(
    stream: &mut BufReader<UnixStream>,
    envelope: &Envelope,
) -> std::io::Result<Result<Reply, Failure>> {
    let mut text = serde_json::to_string(envelope).map_err(std::io::Error::other)?;
    text.push('\n');
    stream.get_mut().write_all(text.as_bytes()).await?;
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    match serde_json::from_str(&line) {
        Ok(Answer::Reply(reply)) => Ok(Ok(*reply)),
        Ok(Answer::Failure(failure)) => Ok(Err(failure)),
        Err(_) => Err(std::io::Error::other(
            "this command and the running server are of different releases",
        )),
    }
}

fn nothing_here(config: &Config) -> Failure {
    Failure::not_found(format!(
        "TL0643 there is no installation in {}: no workflows and no database at {}. Pass --dir or set THROUGHLINE_DIR",
        config.dir.display(),
        config.store.shown()
    ))
}

fn busy(pid: Option<u32>) -> Failure {
    let who = pid.map_or_else(|| "another process".into(), |p| format!("process {p}"));
    Failure::conflict(format!(
        "TL0641 {who} uses the data directory. Wait for it, or stop it"
    ))
}

/// A question in the name of whoever runs the command.
pub fn envelope(tenant: &str, request: Request) -> Envelope {
    let by = ["USER", "LOGNAME"]
        .iter()
        .find_map(|v| std::env::var(v).ok())
        .filter(|u| !u.is_empty());
    Envelope::new(tenant, &by.unwrap_or_else(account), request)
}

/// The account's number, where its name is not in the environment.
fn account() -> String {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self")
        .map_or_else(|_| "unknown".into(), |m| format!("uid {}", m.uid()))
}
