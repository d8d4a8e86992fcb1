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
use tl_lang::Project;
use tl_store::contract::Guard;
use tl_web::{AppState, Rate, WebConfig, router};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing_subscriber::EnvFilter;

use crate::app::{App, DEFAULT_TENANT, Mode};
use crate::checked::check;
use crate::config::Config;
use crate::console::{console, first_sign_in};
use crate::control::deploy::deploy_one;
use crate::control::socket;
use crate::failure::{Failure, Kind};
use crate::intake::DeskIntake;
use crate::lock::{self, Holder, Taken};
use crate::otlp;

/// How long what is on its way may take after the order to stop.
const DRAIN: Duration = Duration::from_secs(22);
/// Of that, what is left for the last answers of the doors; a message that is not answered then is sent again by its
/// sender.
const LAST_ANSWERS: Duration = Duration::from_secs(3);
/// How long the audit follower may take after that.
const FOLLOW: Duration = Duration::from_secs(2);
/// How long the doors of a node that was taken over may take for their last answers.
const ABANDON: Duration = Duration::from_secs(2);
/// How often the first deployment is tried again when another node deploys at the same moment.
const RACES: usize = 8;
/// How often messages without a case are looked for.
const JOIN_PENDING: Duration = Duration::from_millis(500);
/// How often the room on the disk is looked at.
const WATCH_DISK: Duration = Duration::from_secs(5);
/// Below this no message is taken, bytes.
const DISK_RESERVE: u64 = 256 * 1024 * 1024;

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
    running.stop().await;
    tracing::info!("stopped");
    Ok(())
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
    tasks.spawn(watch_disk(
        Arc::clone(&intake),
        app.config.data_dir.clone(),
        stop.clone(),
    ));
    let (keeper, of, until) = (Arc::clone(&intake), Arc::clone(&app), stop.clone());
    tasks.spawn(async move { keeper.issuers.keep(&of, &client, &until).await });
    if app.config.role.works() {
        tasks.spawn(join_pending(Arc::clone(&app), stop.clone()));
    }
    tasks.spawn(control.serve(Arc::clone(&app), stop.clone()));
    let state = AppState {
        intake: Arc::clone(&intake) as Arc<dyn tl_web::intake::Intake>,
        store: app.desk.store().clone(),
        config: WebConfig {
            public_url: app.config.public_url.clone(),
            drain_grace: DRAIN / 3,
            endpoint_rate: pace(app.config.rate),
            tenant_rate: pace(app.config.rate.saturating_mul(2)),
            ..WebConfig::default()
        },
        metrics: Arc::new(otlp::metrics(&app.desk)),
    };
    let console = console(&app);
    let pages = tl_console::router(Arc::clone(&console));
    let (web_stop, role) = (stop.clone(), app.config.role);
    tasks.spawn(async move {
        let config = state.config.clone();
        let router = role.only(router(state).merge(pages));
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

    /// Says that it leaves, takes nothing more, finishes what is on its way, signs a last checkpoint, and lets go of
    /// the store.
    pub async fn stop(self) {
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
        let checked = check(project, id);
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
}

async fn watch_disk(intake: Arc<DeskIntake>, dir: std::path::PathBuf, stop: CancellationToken) {
    loop {
        if let Ok(free) = fs2::available_space(&dir) {
            let full = free < DISK_RESERVE;
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
        if let Err(e) = app.desk.join_pending(tl_web::stored_event).await {
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
async fn pause(time: Duration, stop: &CancellationToken) -> bool {
    tokio::select! {
        () = stop.cancelled() => false,
        () = tokio::time::sleep(time) => true,
    }
}
