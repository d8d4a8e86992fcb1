//! The server: doors, worker, audit follower, control socket, and how they end.

use std::io::{ErrorKind, Write as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tl_connect::client::{Client, Options};
use tl_console::Console;
use tl_engine::follower::Follower;
use tl_engine::outward::{Connections, Outward};
use tl_engine::worker::Worker;
use tl_kernel::journal::Actor;
use tl_kernel::program::Endpoint;
use tl_kernel::turn::StoredEvent;
use tl_lang::Project;
use tl_store::contract::Guard;
use tl_web::{AppState, Carrier, Rate, WebConfig};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing_subscriber::EnvFilter;

use crate::app::{App, DEFAULT_TENANT, Mode};
use crate::clock;
use crate::config::Config;
use crate::console::{console, first_sign_in};
use crate::control::deploy::{check_here, deploy_one};
use crate::control::socket;
use crate::failure::{Failure, Kind};
use crate::intake::DeskIntake;
use crate::lock::{self, Holder, Taken};
use crate::otlp;
use crate::{mail_folder, mailbox};

/// How long what is on its way may take after the order to stop.
const DRAIN: Duration = Duration::from_secs(22);
/// Of that, what is left for the last answers of the doors; a message that is not answered then is sent again by its
/// sender.
const LAST_ANSWERS: Duration = Duration::from_secs(3);
/// How long the audit follower may take after that.
const FOLLOW: Duration = Duration::from_secs(2);
/// How long the doors of a node that was taken over may take for their last answers.
const ABANDON: Duration = Duration::from_secs(2);
/// Signals that come within this time of each other are one order.
const TOGETHER: Duration = Duration::from_millis(300);
/// How long a stop that a second signal cuts short may take to let go of the store.
const CUT_SHORT: Duration = Duration::from_secs(1);
/// How often the first deployment is tried again when another node deploys at the same moment.
const RACES: usize = 8;
/// How often messages without a case are looked for.
const JOIN_PENDING: Duration = Duration::from_millis(500);
/// How long fetching mail rests after a panic.
const AFTER_PANIC: Duration = Duration::from_secs(5);
/// How often the room on the disk is looked at.
const WATCH_DISK: Duration = Duration::from_secs(5);

/// A server that runs.
#[derive(Debug)]
pub struct Running {
    /// Its installation.
    pub app: Arc<App>,
    /// Its console.
    pub console: Arc<Console>,
    /// The address of its doors.
    pub address: std::net::SocketAddr,
    doors: Part,
    worker: Part,
    follower: Part,
}

/// Tasks that stop together.
#[derive(Debug, Default)]
struct Part {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Part {
    /// Asks them to stop and waits; false where that takes too long.
    async fn end(&self, until: tokio::time::Instant) -> bool {
        self.stop.cancel();
        self.tasks.close();
        tokio::time::timeout_at(until, self.tasks.wait())
            .await
            .is_ok()
    }
}

/// Serves until a signal. The first line on standard output is the address.
pub async fn run(config: Config, json: bool) -> Result<(), Failure> {
    start_log(&config);
    // Before anything is opened: a signal that comes while the server starts ends it in order once it has started.
    let mut signals = Signals::watch()?;
    let running = start(config).await?;
    let url = format!("http://{}", running.address);
    let begin = match running.app.config.role.serves("/") {
        true => first_sign_in(&running.console).await?,
        false => None,
    };
    if json {
        println!(
            "{}",
            serde_json::json!({ "listening": url, "pid": std::process::id(), "first_sign_in": begin })
        );
    } else {
        println!("listening on {url}");
        if let Some(link) = begin {
            // Who reads the address alone may have closed the pipe by now.
            let _ = writeln!(
                std::io::stdout(),
                "nobody can sign in yet; make the first account at {link}"
            );
        }
    }
    tokio::select! {
        () = signals.wait() => {}
        () = running.is_lost() => {
            running.abandon().await;
            return Err(Failure::conflict(
                "TL0606 another process has taken this node over: its lease had run out. Start it again",
            ));
        }
    }
    tracing::info!("stopping");
    tokio::select! {
        () = running.stop() => {
            tracing::info!("stopped");
            Ok(())
        }
        // Who says it twice does not want to wait.
        () = signals.again() => {
            running.cut_short().await;
            Err(Failure::refused(
                "ended at once, because a second signal came while it was stopping. What was on its way is taken up at \
                 the next start",
            ))
        }
    }
}

/// Starts everything that a server consists of.
pub async fn start(config: Config) -> Result<Running, Failure> {
    something_to_serve(&config)?;
    let lock = match lock::take(&config.data_dir)? {
        Taken::Ours(lock) => lock,
        Taken::Theirs(holder) => return Err(in_use(holder)),
    };
    let listener = TcpListener::bind(&config.listen)
        .await
        .map_err(|e| cannot_listen(&config.listen, &e))?;
    let address = listener
        .local_addr()
        .map_err(|e| cannot_listen(&config.listen, &e))?;
    let (app, handoff) = App::open(config, Some(lock), Mode::Serving).await?;
    app.listens_on(address.to_string());
    // Where no public address is set, links lead to this machine.
    app.desk.is_reached_at(&format!("http://{}", app.listen()));
    deploy_what_is_there(&app).await?;
    let control = socket::listen(&app.config.data_dir)?;
    app.announce(&control.path, &address.to_string())
        .map_err(|e| Failure::unreachable(format!("TL0610 cannot write the lock: {e}")))?;

    let client =
        Client::new(&Options::default()).map_err(|e| Failure::unreachable(e.to_string()))?;
    let exporter = otlp::exporter(&app.config, &app.desk, &client)?;
    let connections = Arc::clone(&app.connections) as Arc<dyn Connections>;
    let outward = Outward {
        client: client.clone(),
        connections,
    };
    let (doors, worker, follower) = (Part::default(), Part::default(), Part::default());

    if app.config.role.works() {
        worker
            .tasks
            .spawn(Worker::new(app.desk.clone(), outward).run(handoff, worker.stop.clone()));
        match Follower::new(app.desk.clone(), app.config.checkpoint_file.clone()) {
            Some(f) => drop(follower.tasks.spawn(f.run(follower.stop.clone()))),
            None => {
                return Err(Failure::unreachable(
                    "the audit's signing key cannot be derived",
                ));
            }
        }
    }
    if let Some(exporter) = exporter {
        follower.tasks.spawn(exporter.run(follower.stop.clone()));
    }
    let (tasks, stop) = (&doors.tasks, &doors.stop);
    let intake = Arc::new(DeskIntake::new(Arc::clone(&app)));
    tasks.spawn(app.desk.clone().follow_gates(stop.clone()));
    tasks.spawn(app.desk.clone().take_over(app.config.lease, stop.clone()));
    let (of, until) = (Arc::clone(&app), stop.clone());
    tasks.spawn(async move { clock::watch(&of, &until).await });
    tasks.spawn(watch_disk(
        Arc::clone(&intake),
        Arc::clone(&app),
        stop.clone(),
    ));
    let (keeper, of, until) = (Arc::clone(&intake), Arc::clone(&app), stop.clone());
    tasks.spawn(async move { keeper.issuers.keep(&of, &client, &until).await });
    if app.config.role.works() {
        tasks.spawn(join_pending(Arc::clone(&app), stop.clone()));
    } else {
        tasks.spawn(app.desk.clone().follow_backlog(stop.clone()));
    }
    tasks.spawn(control.serve(Arc::clone(&app), stop.clone()));
    let state = app_state(&app, &intake);
    let (web_stop, role) = (stop.clone(), app.config.role);
    let config = state.config.clone();
    let (routes, carrier) = tl_web::doors(state);
    let console = console(&app, carrier.signed_in());
    let pages = tl_console::router(Arc::clone(&console));
    if role.serves("/hooks") {
        fetch_mail(&app, &carrier, &doors);
    }
    tasks.spawn(async move {
        let router = role.only(routes.merge(pages));
        if let Err(e) = tl_web::serve(listener, router, web_stop, &config).await {
            tracing::error!(error = %e, "the doors are closed");
        }
    });
    let store = app.desk.store();
    let (node, epoch, role) = (store.node(), store.epoch(), app.config.role.word());
    tracing::info!(%address, node, epoch, role, store = app.config.store.kind(), "serving");
    Ok(Running {
        console,
        app,
        address,
        doors,
        worker,
        follower,
    })
}

/// What the doors are built from.
fn app_state(app: &App, intake: &Arc<DeskIntake>) -> AppState {
    AppState {
        intake: Arc::clone(intake) as Arc<dyn tl_web::intake::Intake>,
        store: app.desk.store().clone(),
        config: WebConfig {
            public_url: app.config.public_url.clone(),
            drain_grace: DRAIN / 3,
            endpoint_rate: pace(app.config.rate),
            tenant_rate: pace(app.config.rate.saturating_mul(2)),
            ..WebConfig::default()
        },
        metrics: Arc::new(otlp::metrics(&app.desk)),
    }
}

/// Reads the folders and mailboxes of the settings.
fn fetch_mail(app: &Arc<App>, carrier: &Carrier, doors: &Part) {
    for mailbox in app.config.mailboxes.clone() {
        let (of, carrier, stop) = (Arc::clone(app), carrier.clone(), doors.stop.clone());
        let place = mailbox.place();
        let watch = move || {
            let (of, carrier) = (Arc::clone(&of), carrier.clone());
            let (mailbox, stop) = (mailbox.clone(), stop.clone());
            async move { mailbox::watch(&of, &carrier, &mailbox, &stop).await }
        };
        let tasks = &doors.tasks;
        tasks.spawn(unbroken(watch, broken(app, vec![place]), AFTER_PANIC));
    }
    let (of, carrier, stop) = (Arc::clone(app), carrier.clone(), doors.stop.clone());
    let watch = move || mail_folder::watch(Arc::clone(&of), carrier.clone(), stop.clone());
    let folders = app.config.mail_folders.iter();
    let places = folders.map(mail_folder::MailFolder::place).collect();
    let tasks = &doors.tasks;
    tasks.spawn(unbroken(watch, broken(app, places), AFTER_PANIC));
}

/// Says of places that nothing is read from them for a moment.
fn broken(app: &Arc<App>, places: Vec<String>) -> impl Fn() + Send + 'static {
    let app = Arc::clone(app);
    move || {
        tracing::error!(?places, "fetching mail panicked; it begins anew");
        for place in &places {
            let why = "reading it ended by an error of ours, which the log has; it begins anew";
            app.places.note(place, Some(why.to_owned()));
        }
    }
}

/// Work that ends when it is done, and begins anew where it panicked.
async fn unbroken<F: Future<Output = ()> + Send + 'static>(
    begin: impl Fn() -> F,
    broken: impl Fn(),
    rest: Duration,
) {
    while let Err(e) = tokio::spawn(begin()).await {
        if !e.is_panic() {
            return;
        }
        broken();
        tokio::time::sleep(rest).await;
    }
}

/// Another process holds the data directory.
fn in_use(holder: Option<Holder>) -> Failure {
    let who = holder.map_or_else(String::new, |h| {
        let at = h
            .listen
            .map_or_else(String::new, |l| format!(", listening on {l}"));
        format!(" (process {}{at})", h.pid)
    });
    Failure::conflict(format!(
        "TL0641 a server uses this data directory already{who}. Stop it, or choose another data_dir"
    ))
}

impl Running {
    /// Ends when another process has taken this node over.
    pub async fn is_lost(&self) {
        let mut lost = self.app.desk.store().lost();
        if lost.wait_for(|lost| *lost).await.is_err() {
            // Nobody can take it over any more.
            std::future::pending::<()>().await;
        }
    }

    /// What was on its way belongs to others now: nothing is finished here.
    pub async fn abandon(self) {
        self.app.leave();
        self.app.desk.drain();
        self.worker.stop.cancel();
        self.follower.stop.cancel();
        self.doors.end(tokio::time::Instant::now() + ABANDON).await;
        self.app.close().await;
    }

    /// Ends a stop that is under way: what is on its way is left as it is. It may still give its lease back, so that
    /// others, or the next start, take it up at once.
    async fn cut_short(&self) {
        if tokio::time::timeout(CUT_SHORT, self.app.close())
            .await
            .is_err()
        {
            tracing::warn!("the store did not close in time");
        }
    }

    /// Says that it leaves, takes nothing more, finishes what is on its way, signs a last checkpoint, and lets go of
    /// the store.
    pub async fn stop(&self) {
        let end = tokio::time::Instant::now() + DRAIN;
        // A load balancer that asks learns it before the first connection is refused.
        self.app.leave();
        tokio::time::sleep(self.app.config.drain_notice).await;
        self.app.desk.drain();
        // The doors stay: until the last effect is through, senders are told when to come again.
        let in_time = self.worker.end(end - LAST_ANSWERS).await;
        self.doors.end(end).await;
        if !in_time {
            tracing::warn!(
                "effects were still on their way; they are uncertain and resolved at the next start"
            );
        }
        // Last, so that its checkpoint covers everything.
        if !self.follower.end(end + FOLLOW).await {
            tracing::warn!("the last checkpoint is missing; the next start signs it");
        }
        self.app.close().await;
    }
}

/// A directory without a workflow and without a database is the wrong one: nothing is made in it.
fn something_to_serve(config: &Config) -> Result<(), Failure> {
    let project = crate::project::read(&config.dir)?;
    if project.workflows().is_empty() && !config.store.may_hold_data() {
        return Err(nothing_to_serve(config));
    }
    Ok(())
}

/// Deploys what was never deployed; refuses where there is no workflow after that.
async fn deploy_what_is_there(app: &App) -> Result<(), Failure> {
    first_deploy(app).await?;
    if anything_deployed(app).await? {
        return Ok(());
    }
    app.close().await;
    Err(nothing_to_serve(&app.config))
}

/// Whether any tenant has a workflow.
async fn anything_deployed(app: &App) -> Result<bool, Failure> {
    for (id, _) in app.desk.store().tenants().await? {
        if !app.desk.tenant(id).await?.current.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn nothing_to_serve(config: &Config) -> Failure {
    Failure::not_found(crate::project::no_workflow(&config.dir))
}

/// Workflows of the project directory that were never deployed are deployed; a changed file is only reported,
/// because a version changes by `throughline deploy` alone.
async fn first_deploy(app: &App) -> Result<(), Failure> {
    let project = crate::project::read(&app.config.dir)?;
    for id in project.workflows() {
        deploy_first(app, &project, &id).await?;
    }
    Ok(())
}

/// One workflow, once: of several nodes that start together one deploys it.
async fn deploy_first(app: &App, project: &Project, id: &str) -> Result<(), Failure> {
    let mut tries = 0;
    loop {
        let view = app.tenant(DEFAULT_TENANT).await?;
        if let Some((number, bundle)) = view.current.get(id) {
            if bundle.project != crate::project::bundle(project, id) {
                tracing::warn!(
                    workflow = id,
                    number,
                    "the files differ from the deployed version: `throughline deploy` takes them over"
                );
            }
            return Ok(());
        }
        let checked = check_here(&view, project, id);
        if !checked.ok() {
            return Err(Failure::refused(format!(
                "workflow `{id}` does not pass its check:\n{}",
                checked.findings(project, false)
            )));
        }
        let unmoved = Guard::GateAt {
            tenant: view.rows.tenant_epoch,
            installation: view.rows.installation_epoch,
        };
        let at = (view.id, Some(unmoved));
        tries += 1;
        match deploy_one(app, at, (project, id), &Actor::Engine).await {
            Ok(line) => {
                tracing::info!(workflow = id, number = line.number, "deployed");
                return Ok(());
            }
            Err(failure) if failure.kind == Kind::Conflict && tries < RACES => {
                app.desk.reload(view.id).await?;
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// For a command without a server: what can be deployed is, so that `init` and the next command go together.
pub async fn first_deploy_quietly(app: &App) {
    if let Err(e) = first_deploy(app).await {
        tracing::debug!(error = e.message, "not deployed");
    }
}

fn cannot_listen(listen: &str, e: &std::io::Error) -> Failure {
    let what = match e.kind() {
        ErrorKind::AddrInUse => {
            "another program listens there. Stop it, or choose another address: --listen 127.0.0.1:0 takes any free port"
        }
        ErrorKind::PermissionDenied => "this account may not use that port. Choose one above 1023",
        ErrorKind::AddrNotAvailable => "this machine has no such address",
        ErrorKind::InvalidInput => "that is no address: write HOST:PORT",
        _ => return Failure::unreachable(format!("TL0642 cannot listen on {listen}: {e}")),
    };
    Failure::unreachable(format!("TL0642 cannot listen on {listen}: {what}"))
}

fn start_log(config: &Config) {
    let filter = EnvFilter::try_new(&config.log_level).unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second initialisation within one process keeps the first.
    let _ = if config.log_json {
        log.json().flatten_event(true).try_init()
    } else {
        log.with_ansi(false).try_init()
    };
}

/// The signals that end a server in order.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From here on they no longer end the process by themselves.
    fn watch() -> Result<Signals, Failure> {
        let watch = |kind: SignalKind, name: &str| {
            signal(kind)
                .map_err(|e| Failure::unreachable(format!("no {name} can be received: {e}")))
        };
        Ok(Signals {
            terminate: watch(SignalKind::terminate(), "SIGTERM")?,
            interrupt: watch(SignalKind::interrupt(), "SIGINT")?,
        })
    }

    /// Waits for one of them; one that has come already counts.
    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Waits for a second one. What comes together with the first is the same order: a terminal tells every process in
    /// front, and one of them may pass it on.
    async fn again(&mut self) {
        let first = tokio::time::Instant::now();
        loop {
            self.wait().await;
            if first.elapsed() > TOGETHER {
                return;
            }
        }
    }
}

async fn watch_disk(intake: Arc<DeskIntake>, app: Arc<App>, stop: CancellationToken) {
    loop {
        if let Ok(free) = fs2::available_space(&app.config.data_dir) {
            let full = free < app.config.disk_reserve;
            if full != intake.disk_full.swap(full, Ordering::Relaxed) {
                tracing::warn!(
                    free,
                    "room on the disk: messages are {}",
                    if full { "refused" } else { "taken again" }
                );
            }
        }
        if !pause(WATCH_DISK, &stop).await {
            return;
        }
    }
}

/// Joins messages that were accepted without a case.
async fn join_pending(app: Arc<App>, stop: CancellationToken) {
    while pause(JOIN_PENDING, &stop).await {
        let event = |endpoint: &Endpoint, stored: &StoredEvent| {
            tl_web::stored_event(endpoint, stored, |bytes, declared| {
                app.readers.read_now(bytes, declared)
            })
        };
        if let Err(e) = app.desk.join_pending(event).await {
            tracing::warn!(error = %e, "pending joins");
        }
    }
}

/// A pace with room for two seconds at once.
fn pace(per_second: u32) -> Rate {
    Rate {
        per_second,
        burst: per_second.saturating_mul(2),
    }
}

/// Waits; false when it is time to stop.
pub async fn pause(time: Duration, stop: &CancellationToken) -> bool {
    tokio::select! {
        () = stop.cancelled() => false,
        () = tokio::time::sleep(time) => true,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[tokio::test]
    async fn what_panics_begins_anew_until_it_is_done() {
        let (begun, told) = (Arc::new(AtomicU32::new(0)), AtomicU32::new(0));
        let begin = || {
            let times = begun.fetch_add(1, Ordering::Relaxed);
            async move { assert!(times >= 2, "not yet") }
        };
        let broken = || {
            told.fetch_add(1, Ordering::Relaxed);
        };
        unbroken(begin, broken, Duration::ZERO).await;
        let counted = [&*begun, &told].map(|n| n.load(Ordering::Relaxed));
        assert_eq!(counted, [3, 2]);
    }
}
