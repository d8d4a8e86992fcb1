//! The load generator: signed leads over connections that stay open, in a closed or an open loop, joined with what
//! the stub of the CRM saw.

mod joined;
mod stage;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use aws_lc_rs::hmac;
use clap::Args;
use serde_json::{Value, json};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::sleep;

use self::joined::Joined;
use self::stage::{Answer, Stage, milliseconds};
use crate::http::{Wire, ask};
use crate::process::{self, Used};
use crate::{lead, now_ns, rounded, upper_bound};

/// Connections, unless another number is asked for.
const CONNECTIONS: usize = 64;
/// How long messages are sent, seconds.
const SECONDS: f64 = 10.0;
/// How long at most to wait for the rest, seconds.
const DRAIN: f64 = 60.0;
/// How long nothing more may arrive before a run is over, seconds.
const QUIET: f64 = 1.0;
/// How long a connection rests after a refusal or a broken connection: a sender that does not hammer.
const REST: Duration = Duration::from_millis(20);
/// How often the stub is asked whether everything has arrived.
const LOOK: Duration = Duration::from_millis(50);
/// A server that uses less than this share of a core over a `STRETCH` has finished what it does behind the cases.
const RESTING: f64 = 0.15;
/// Long enough for several ticks of the kernel's clock.
const STRETCH: Duration = Duration::from_millis(500);
/// How often the server's memory is looked at.
const SAMPLE: Duration = Duration::from_secs(1);

/// What is sent, where, and how fast.
#[derive(Debug, Clone, Args)]
pub struct Load {
    /// Address of the endpoint, http://HOST:PORT/PATH; of several, each connection has the next one
    #[arg(long, required = true, value_delimiter = ',')]
    pub url: Vec<String>,
    /// The endpoint's secret
    #[arg(long)]
    pub secret: String,
    /// Where the stub listens
    #[arg(long, default_value = "127.0.0.1:9900")]
    pub crm: String,
    /// The server's processes, for their processor time and memory
    #[arg(long, value_delimiter = ',')]
    pub pid: Vec<u32>,
    /// Messages a second, sent when they are due (open loop); left out, each connection sends when it was answered
    /// (closed loop)
    #[arg(long)]
    pub rate: Option<f64>,
    /// Connections
    #[arg(long, default_value_t = CONNECTIONS)]
    pub connections: usize,
    /// How long messages are sent, seconds
    #[arg(long, default_value_t = SECONDS)]
    pub seconds: f64,
    /// Messages a second after that, in an open loop: back to the usual
    #[arg(long, requires = "rate")]
    pub then_rate: Option<f64>,
    /// How long these are sent, seconds
    #[arg(long, default_value_t = SECONDS)]
    pub then_seconds: f64,
    /// How many messages are sent in a closed loop, however long it takes
    #[arg(long, conflicts_with = "rate")]
    pub count: Option<u64>,
    /// How often each lead is sent, with the same key
    #[arg(long, default_value_t = 1)]
    pub copies: u64,
    /// How long at most to wait until every acknowledged lead is in the CRM, seconds
    #[arg(long, default_value_t = DRAIN)]
    pub drain: f64,
    /// How long nothing more may arrive before the run counts as over, seconds
    #[arg(long, default_value_t = QUIET)]
    pub quiet: f64,
    /// Who is measured, for the line that is printed
    #[arg(long, default_value = "server")]
    pub subject: String,
    /// What is measured, for the line that is printed
    #[arg(long, default_value = "run")]
    pub phase: String,
    /// Doors of several tenants, each with its secret: messages go to one after the other, in place of the endpoint's
    #[arg(skip)]
    pub tenants: Vec<Tenant>,
}

/// The door of a tenant.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// Path of its endpoint.
    pub path: String,
    /// The endpoint's secret.
    pub secret: String,
}

impl Load {
    /// A load with the defaults of the command line.
    pub fn to(url: Vec<String>, secret: String, crm: String) -> Load {
        Load {
            url,
            secret,
            crm,
            pid: Vec::new(),
            rate: None,
            connections: CONNECTIONS,
            seconds: SECONDS,
            then_rate: None,
            then_seconds: SECONDS,
            count: None,
            copies: 1,
            drain: DRAIN,
            quiet: QUIET,
            subject: "server".into(),
            phase: "run".into(),
            tenants: Vec::new(),
        }
    }
}

/// What one lead has met.
#[derive(Debug, Clone, Copy, Default)]
struct Met {
    /// When it was first sent, or should have been.
    sent_ns: u64,
    stage: usize,
    acknowledged: bool,
}

#[derive(Debug, Default)]
struct Tally {
    leads: Vec<Met>,
    /// While as much is sent as was asked for first, and after that.
    stages: [Stage; 2],
}

/// A message that is to be sent.
#[derive(Debug, Clone, Copy)]
struct Due {
    n: u64,
    /// Since when it waits.
    since: Instant,
    stage: usize,
}

impl Tally {
    fn met(&mut self, n: u64) -> &mut Met {
        let at = n as usize;
        if self.leads.len() <= at {
            self.leads.resize(at + 1, Met::default());
        }
        &mut self.leads[at]
    }

    fn acknowledged(&self) -> u64 {
        self.leads.iter().filter(|l| l.acknowledged).count() as u64
    }
}

/// One run.
struct Run {
    load: Load,
    /// Host and path of each door.
    doors: Vec<(String, String)>,
    name: String,
    /// By turns: what the messages are signed with, and the tenant's own path where there are several.
    senders: Vec<(hmac::Key, Option<String>)>,
    start: Instant,
    start_ns: u64,
    next: Cell<u64>,
    tally: RefCell<Tally>,
}

impl Run {
    /// The n-th of the loads that are sent together.
    fn new(load: Load, nth: usize) -> Result<Run> {
        let door = |url: &String| -> Result<(String, String)> {
            let place = url
                .strip_prefix("http://")
                .context("--url begins with http://")?;
            let (host, path) = place.split_once('/').context("--url has a path")?;
            Ok((host.to_owned(), format!("/{path}")))
        };
        let doors: Result<Vec<_>> = load.url.iter().map(door).collect();
        let tenants = load.tenants.iter();
        let mut senders: Vec<_> = tenants
            .map(|t| (lead::key(&t.secret), Some(t.path.clone())))
            .collect();
        if senders.is_empty() {
            senders.push((lead::key(&load.secret), None));
        }
        Ok(Run {
            doors: doors?,
            name: format!("r{:x}n{nth}", now_ns() / 1_000_000),
            senders,
            start: Instant::now(),
            start_ns: now_ns(),
            next: Cell::new(0),
            tally: RefCell::default(),
            load,
        })
    }

    /// The next message; none when all have been sent.
    async fn claim(&self) -> Option<Due> {
        let n = self.next.get();
        let Some(rate) = self.load.rate else {
            let more = match self.load.count {
                Some(count) => n < count,
                None => self.start.elapsed().as_secs_f64() < self.load.seconds,
            };
            self.next.set(n + 1);
            let since = Instant::now();
            return more.then_some(Due { n, since, stage: 0 });
        };
        let first = self.first_stage(rate);
        let is_over = self.start.elapsed().as_secs_f64() >= self.load.seconds;
        let (n, at, stage) = match self.load.then_rate {
            // What is late then is not sent any more: the load drops.
            Some(then) if n >= first || is_over => {
                let n = n.max(first);
                let at = (n - first) as f64 / then;
                if at >= self.load.then_seconds {
                    return None;
                }
                (n, self.load.seconds + at, 1)
            }
            _ if n >= first => return None,
            _ => (n, n as f64 / rate, 0),
        };
        self.next.set(n + 1);
        let due = self.start + Duration::from_secs_f64(at);
        let mut since = due;
        if due > Instant::now() {
            tokio::time::sleep_until(due.into()).await;
            since = Instant::now();
        }
        // Where every connection was busy, it waits since it was due.
        Some(Due { n, since, stage })
    }

    /// How many messages an open loop sends before the rate changes, or at all.
    fn first_stage(&self, rate: f64) -> u64 {
        (rate * self.load.seconds).ceil() as u64
    }

    fn request(&self, n: u64, (host, path): &(String, String)) -> String {
        let (id, body) = (lead::id(&self.name, n), lead::body(&self.name, n));
        let (key, own) = &self.senders[n as usize % self.senders.len()];
        let path = own.as_ref().unwrap_or(path);
        let signature = lead::signature(key, body.as_bytes());
        let (header, length) = (lead::SIGNATURE, body.len());
        format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n{header}: {signature}\r\n\
             idempotency-key: {id}\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    }

    /// One connection: sends to its door until there is nothing more to send.
    async fn connection(&self, nth: usize) {
        let door = &self.doors[nth % self.doors.len()];
        let mut wire = None;
        while let Some(due) = self.claim().await {
            let n = due.n / self.load.copies.max(1);
            let request = self.request(n, door);
            {
                let mut tally = self.tally.borrow_mut();
                let met = tally.met(n);
                if met.sent_ns == 0 {
                    met.sent_ns = now_ns() - due.since.elapsed().as_nanos() as u64;
                    met.stage = due.stage;
                }
            }
            let sending = Instant::now();
            let answer = self.exchange(&mut wire, &door.0, request.as_bytes()).await;
            let taken = answer.as_ref().is_ok_and(|a| a.accepted());
            {
                let mut tally = self.tally.borrow_mut();
                tally.met(n).acknowledged |= taken;
                let stage = &mut tally.stages[due.stage];
                match answer {
                    Ok(answer) => stage.answered(answer, (due.since, sending)),
                    Err(_) => {
                        wire = None;
                        stage.broke();
                    }
                }
            }
            if !taken {
                sleep(REST).await;
            }
        }
    }

    async fn exchange(
        &self,
        wire: &mut Option<Wire>,
        host: &str,
        request: &[u8],
    ) -> std::io::Result<Answer> {
        let open = match wire {
            Some(open) => open,
            None => wire.insert(Wire::connect(host).await?),
        };
        let response = open.exchange(request).await?;
        if response
            .header("connection")
            .is_some_and(|c| c.eq_ignore_ascii_case("close"))
        {
            *wire = None;
        }
        Ok(Answer {
            status: response.status()?,
            says_when: response.header("retry-after").is_some(),
        })
    }

    /// Sends all of it, and gives how long that took, seconds.
    async fn send(self: Rc<Run>) -> Result<f64> {
        let connections: Vec<_> = (0..self.load.connections)
            .map(|nth| {
                let run = Rc::clone(&self);
                spawn_local(async move { run.connection(nth).await })
            })
            .collect();
        for connection in connections {
            connection.await?;
        }
        Ok(self.start.elapsed().as_secs_f64())
    }

    fn acknowledged(&self) -> u64 {
        self.tally.borrow().acknowledged()
    }
}

async fn watch_memory(pid: Vec<u32>, peak_mib: Rc<Cell<f64>>) {
    loop {
        peak_mib.set(peak_mib.get().max(process::memory_mib(&pid)));
        sleep(SAMPLE).await;
    }
}

/// Waits until every acknowledged lead has arrived and nothing more does. Gives how many had not arrived at the
/// beginning.
async fn drain(load: &Load, acknowledged: u64) -> Result<u64> {
    let begun = Instant::now();
    let (mut last, mut changed, mut backlog) = (String::new(), Instant::now(), None);
    loop {
        let stats = ask(&load.crm, "GET", "/stats").await.context("the stub")?;
        let ids = serde_json::from_str::<Value>(&stats)?["ids"]
            .as_u64()
            .unwrap_or(0);
        backlog.get_or_insert(acknowledged.saturating_sub(ids));
        if stats != last {
            (last, changed) = (stats, Instant::now());
        }
        let quiet = changed.elapsed().as_secs_f64() >= load.quiet;
        if (ids >= acknowledged && quiet) || begun.elapsed().as_secs_f64() > load.drain {
            return Ok(backlog.unwrap_or(0));
        }
        sleep(LOOK).await;
    }
}

/// Waits until the server has finished what nobody waited for, so that its processor time counts as well and the next
/// run begins on an idle machine.
async fn rest(load: &Load) {
    let end = Instant::now() + Duration::from_secs_f64(load.drain);
    let mut before = process::cpu_seconds(&load.pid);
    while Instant::now() < end {
        sleep(STRETCH).await;
        let now = process::cpu_seconds(&load.pid);
        if now - before < RESTING * STRETCH.as_secs_f64() {
            return;
        }
        before = now;
    }
}

/// What is the same for all loads that were sent together.
struct Together {
    backlog: u64,
    idle_mib: f64,
    peak_mib: f64,
    /// Processor time of a case, milliseconds: of the server, and by its threads.
    cpu: (f64, BTreeMap<String, f64>),
    own_cpu_s: f64,
}

/// Sends a load on this thread, and gives what came of it: rates, latencies in milliseconds, answers by status, what was
/// lost or written again, and what the server's processes used. Fails where the stub of the CRM does not answer.
pub fn measure(load: Load) -> Result<Value> {
    let mut told = measure_together(vec![load])?;
    told.pop().context("no load")
}

/// The same for several loads at once, to one server and one stub: of each what came of it. What the server used, and
/// what had not arrived when sending ended, is that of all of them.
pub fn measure_together(loads: Vec<Load>) -> Result<Vec<Value>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, send(loads))
}

async fn send(loads: Vec<Load>) -> Result<Vec<Value>> {
    let first = loads.first().context("no load")?.clone();
    ask(&first.crm, "POST", "/reset")
        .await
        .context("the stub does not answer")?;
    let idle_mib = process::memory_mib(&first.pid);
    let before = Used::now(&first.pid);
    let own_before = process::cpu_seconds(&[std::process::id()]);
    let runs = loads.into_iter().enumerate();
    let runs = runs.map(|(nth, load)| Run::new(load, nth).map(Rc::new));
    let runs = runs.collect::<Result<Vec<_>>>()?;
    let peak_mib = Rc::new(Cell::new(0.0));
    let memory = spawn_local(watch_memory(first.pid.clone(), Rc::clone(&peak_mib)));
    let sending: Vec<_> = runs
        .iter()
        .map(|run| spawn_local(Rc::clone(run).send()))
        .collect();
    let mut seconds = Vec::new();
    for run in sending {
        seconds.push(run.await??);
    }
    let acknowledged = runs.iter().map(|r| r.acknowledged()).sum();
    let backlog = drain(&first, acknowledged).await?;
    rest(&first).await;
    memory.abort();
    let used = Used::now(&first.pid);
    let dump = ask(&first.crm, "GET", "/dump").await?;
    let names: Vec<&str> = runs.iter().map(|r| r.name.as_str()).collect();
    let joined: Vec<Joined> = runs.iter().map(|r| Joined::of(r, &names, &dump)).collect();
    let together = Together {
        backlog,
        idle_mib,
        peak_mib: peak_mib.get(),
        cpu: used.since(&before, joined.iter().map(|j| j.cases).sum()),
        own_cpu_s: process::cpu_seconds(&[std::process::id()]) - own_before,
    };
    let each = runs.iter().zip(joined).zip(seconds);
    Ok(each
        .map(|((run, joined), seconds)| run.told(&joined, seconds, &together))
        .collect())
}

impl Run {
    /// What came of it, sent over so many seconds.
    fn told(&self, joined: &Joined, sending: f64, together: &Together) -> Value {
        let tally = &mut *self.tally.borrow_mut();
        let sent = tally.leads.iter().map(|l| l.sent_ns);
        let first_ns = sent.filter(|ns| *ns > 0).min().unwrap_or(0);
        let wall = joined.last_ns.saturating_sub(first_ns) as f64 / 1e9;
        let per_s = |n: u64, s: f64| if s > 0.0 { rounded(n as f64 / s) } else { 0.0 };
        let acknowledged = tally.acknowledged();
        let first_seconds = match self.load.then_rate {
            Some(_) => self.load.seconds,
            None => sending,
        };
        let (cpu, threads) = &together.cpu;
        let [first, then] = &mut tally.stages;
        let mut told = json!({
            "subject": self.load.subject, "phase": self.load.phase, "run": self.name,
            "connections": self.load.connections, "rate": self.load.rate, "copies": self.load.copies,
            "acknowledged_leads": acknowledged,
            "cases": joined.cases, "cases_per_s": per_s(joined.cases, wall),
            "cases_in_time_per_s": per_s(joined.in_time, first_seconds),
            "backlog": together.backlog, "e2e_ms": milliseconds(&joined.e2e_us[0]),
            "lost": joined.lost, "extra": joined.extra, "repeats": joined.repeats, "strange": joined.strange,
            "lost_upper_bound_95": upper_bound(acknowledged), "extra_upper_bound_95": upper_bound(joined.cases),
            "cpu_ms_per_case": cpu, "threads_ms_per_case": threads, "load_cpu_s": rounded(together.own_cpu_s),
            "idle_mib": rounded(together.idle_mib), "peak_mib": rounded(together.peak_mib),
        });
        if !self.load.tenants.is_empty() {
            told["cases_by_tenant"] = joined.by_tenant.clone().into();
        }
        join_objects(&mut told, first.told(first_seconds));
        if self.load.then_rate.is_some() {
            let dropped = self.start + Duration::from_secs_f64(self.load.seconds);
            let unusual = then.unusual_at.map(|at| at - dropped);
            let mut after = then.told(self.load.then_seconds);
            after["e2e_ms"] = milliseconds(&joined.e2e_us[1]);
            after["usual_after_s"] = rounded(unusual.unwrap_or_default().as_secs_f64()).into();
            told["then"] = after;
        }
        told
    }
}

/// Puts what one object holds into another one.
fn join_objects(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}
