//! Wake-ups between nodes: a notification after the commit, on a connection of its own, and not too many of them.
//! Within the commit it would make all commits of the database wait for one another. A notification is a hint: whoever
//! misses it looks again in time.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tokio_postgres::{AsyncMessage, Error};

use super::address::Address;
use super::link::{Link, Purpose, words};
use crate::node::Node;
use crate::store::HeldLease;

/// At least so long between two notifications of a node.
const SPACING: Duration = Duration::from_millis(50);
/// A lost connection is tried again after this.
const RETRY: Duration = Duration::from_secs(1);

/// What the threads move, and where they leave what they learned.
#[derive(Debug, Clone)]
pub(crate) struct Bells {
    /// Moves with every commit of this node, and is touched when another one has committed.
    pub(crate) groups: watch::Sender<u64>,
    /// Is raised when another one has committed.
    pub(crate) elsewhere: watch::Sender<u64>,
    /// Learns of every answer about the lease.
    pub(crate) held: Arc<HeldLease>,
}

/// The threads that tell other nodes of commits, hear of theirs, and keep the lease.
#[derive(Debug)]
pub(crate) struct Waker {
    hush: watch::Sender<bool>,
    release: Option<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Waker {
    /// Starts them.
    pub(crate) fn start(
        address: Address,
        node: Option<Node>,
        bells: Bells,
    ) -> std::io::Result<Waker> {
        let (hush, hushed) = watch::channel(false);
        let mut waker = Waker {
            hush,
            release: None,
            threads: Vec::new(),
        };
        let bell = address.clone();
        let held = Arc::clone(&bells.held);
        waker.spawn("store-wake", move || listen(&bell, &bells, hushed))?;
        if let Some(node) = node {
            let (release, released) = channel();
            waker.release = Some(release);
            waker.spawn("store-lease", move || {
                keep(&address, &node, (&held, &released));
            })?;
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

/// Tells and hears until it is hushed, and once more after that: what was committed last is told too.
fn listen(address: &Address, bells: &Bells, mut hushed: watch::Receiver<bool>) {
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!(%error, "wake-ups between nodes are off"),
    };
    runtime.block_on(async {
        let mut told = 0;
        loop {
            if let Err(error) = ring(address, bells, (&mut told, &mut hushed)).await {
                tracing::warn!(error = words(&error), "wake-ups between nodes pause");
                tokio::select! {
                    () = sleep(RETRY) => {}
                    _ = hushed.changed() => {}
                }
            }
            if *hushed.borrow() {
                return;
            }
        }
    });
}

/// One connection's worth of that.
async fn ring(
    address: &Address,
    bells: &Bells,
    (told, hushed): (&mut u64, &mut watch::Receiver<bool>),
) -> Result<(), Error> {
    let mut moved = bells.groups.subscribe();
    if *hushed.borrow() && *moved.borrow_and_update() == *told {
        return Ok(());
    }
    let (client, mut connection) = address.connect().await?;
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
    loop {
        let now = *moved.borrow_and_update();
        // Equal when it was touched for another node's commit, of which everybody has heard.
        if now != *told {
            client.batch_execute("NOTIFY throughline").await?;
            *told = now;
            tokio::select! {
                () = sleep(SPACING) => {}
                _ = hushed.changed() => {}
            }
        }
        if *hushed.borrow() && *moved.borrow() == *told {
            return Ok(());
        }
        tokio::select! {
            changed = moved.changed() => if changed.is_err() {
                return Ok(());
            },
            sender = heard.recv() => match sender {
                Some(pid) if pid == own => {}
                Some(_) => {
                    bells.groups.send_modify(|_| {});
                    bells.elsewhere.send_modify(|n| *n += 1);
                }
                // The connection has ended: what was waited for next would say why.
                None => return client.batch_execute("SELECT 1").await,
            },
            _ = hushed.changed() => {}
        }
    }
}

/// Extends the lease again and again, until it is released or the node is taken over.
fn keep(address: &Address, node: &Node, (held, released): (&HeldLease, &Receiver<()>)) {
    let mut link = None;
    let mut pause = held.first_pause(node.lease());
    while let Err(RecvTimeoutError::Timeout) = released.recv_timeout(pause) {
        let asked = held.asked();
        let beat = match &mut link {
            Some(link) => node.beat(link),
            None => Link::open(address, Purpose::Write).and_then(|mut new| {
                let beat = node.beat(&mut new);
                link = Some(new);
                beat
            }),
        };
        if let Err(error) = &beat {
            tracing::warn!(error = words(error), "the lease was not extended");
            link = None;
        }
        match held.beaten(asked, node.lease(), beat.ok().as_ref()) {
            Some(next) => pause = next,
            None => return tracing::error!("TL0606 another process has taken this node over"),
        }
    }
}
