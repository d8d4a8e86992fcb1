//! Wake-ups between nodes: a notification after the commit, on a connection of its own, and not too many of them.
//! Within the commit it would make all commits of the database wait for one another. A notification is a hint: whoever
//! misses it looks again in time.

use std::future::poll_fn;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tokio_postgres::{AsyncMessage, Config, Error, NoTls};

use super::Node;
use super::link::{Link, Purpose, words};

/// At least so long between two notifications of a node.
const SPACING: Duration = Duration::from_millis(50);
/// A lost connection is tried again after this.
const RETRY: Duration = Duration::from_secs(1);

/// The threads that tell other nodes of commits, hear of theirs, and keep the lease.
#[derive(Debug)]
pub(crate) struct Waker {
    hush: watch::Sender<bool>,
    release: Option<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Waker {
    /// Starts them. `groups` moves with every commit of this node, and is touched when another one has committed.
    pub(crate) fn start(
        config: Config,
        node: Option<Node>,
        groups: watch::Sender<u64>,
    ) -> std::io::Result<Waker> {
        let (hush, hushed) = watch::channel(false);
        let mut waker = Waker {
            hush,
            release: None,
            threads: Vec::new(),
        };
        let bell = config.clone();
        waker.spawn("store-wake", move || listen(&bell, &groups, hushed))?;
        if let Some(node) = node {
            let (release, released) = channel();
            waker.release = Some(release);
            waker.spawn("store-lease", move || keep(&config, &node, &released))?;
        }
        Ok(waker)
    }

    fn spawn(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        let thread = thread::Builder::new().name(name.into()).spawn(work)?;
        self.threads.push(thread);
        Ok(())
    }
}

impl Drop for Waker {
    fn drop(&mut self) {
        self.hush.send_replace(true);
        self.release = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the store had failed");
            }
        }
    }
}

/// Tells and hears until it is hushed.
fn listen(config: &Config, groups: &watch::Sender<u64>, mut hushed: watch::Receiver<bool>) {
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!(%error, "wake-ups between nodes are off"),
    };
    runtime.block_on(async {
        while !*hushed.borrow() {
            if let Err(error) = ring(config, groups, &mut hushed).await {
                tracing::warn!(error = words(&error), "wake-ups between nodes pause");
                tokio::select! {
                    () = sleep(RETRY) => {}
                    _ = hushed.changed() => {}
                }
            }
        }
    });
}

/// One connection's worth of that.
async fn ring(
    config: &Config,
    groups: &watch::Sender<u64>,
    hushed: &mut watch::Receiver<bool>,
) -> Result<(), Error> {
    let (client, mut connection) = config.connect(NoTls).await?;
    let (tell, mut heard) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(message) = poll_fn(|cx| connection.poll_message(cx)).await {
            match message {
                Ok(AsyncMessage::Notification(n)) => {
                    if tell.send(n.process_id()).is_err() {
                        return;
                    }
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
    });
    let own: i32 = client
        .query_one("SELECT pg_backend_pid()", &[])
        .await?
        .get(0);
    client.batch_execute("LISTEN throughline").await?;
    let mut moved = groups.subscribe();
    let mut told = *moved.borrow_and_update();
    loop {
        tokio::select! {
            changed = moved.changed() => {
                let now = *moved.borrow_and_update();
                if changed.is_err() {
                    return Ok(());
                }
                // Touched for another node's commit, of which everybody has heard.
                if now == told {
                    continue;
                }
                told = now;
                client.batch_execute("NOTIFY throughline").await?;
                sleep(SPACING).await;
            }
            sender = heard.recv() => match sender {
                Some(pid) if pid == own => {}
                Some(_) => groups.send_modify(|_| {}),
                // The connection has ended: what was waited for next would say why.
                None => return client.batch_execute("SELECT 1").await,
            },
            _ = hushed.changed() => return Ok(()),
        }
    }
}

/// Extends the lease three times in its length, until it is released.
fn keep(config: &Config, node: &Node, released: &Receiver<()>) {
    let mut link = None;
    let pause = node.lease() / 3;
    while let Err(RecvTimeoutError::Timeout) = released.recv_timeout(pause) {
        let beat = match &mut link {
            Some(link) => node.beat(link),
            None => Link::open(config, Purpose::Write).and_then(|mut new| {
                let beat = node.beat(&mut new);
                link = Some(new);
                beat
            }),
        };
        match beat {
            Ok(lease) if lease.held => {}
            Ok(_) => tracing::error!("TL0606 another process has taken this node over"),
            Err(error) => {
                tracing::warn!(error = words(&error), "the lease was not extended");
                link = None;
            }
        }
    }
}
