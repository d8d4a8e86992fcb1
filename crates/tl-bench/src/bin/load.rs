//! The load generator: signed leads over connections that stay open, in a closed or an open loop, joined with what
//! the stub of the CRM saw. Prints one line of JSON.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use aws_lc_rs::hmac;
use clap::Parser;
use serde_json::{Value, json};
use tl_bench::http::{Wire, ask};
use tl_bench::process::{self, Used};
use tl_bench::{lead, now_ns, quantile, rounded};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::sleep;

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

/// Sends signed leads to a server and joins them with what the stub of the CRM saw.
#[derive(Debug, Parser)]
struct Args {
    /// Address of the endpoint, http://HOST:PORT/PATH
    #[arg(long)]
    url: String,
    /// The endpoint's secret
    #[arg(long)]
    secret: String,
    /// Where the stub listens
    #[arg(long, default_value = "127.0.0.1:9900")]
    crm: String,
    /// The server's process, for its processor time and memory
    #[arg(long)]
    pid: Option<u32>,
    /// Messages a second, sent when they are due (open loop); left out, each connection sends when it was answered
    /// (closed loop)
    #[arg(long)]
    rate: Option<f64>,
    /// Connections
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// How long messages are sent, seconds
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// How often each lead is sent, with the same key
    #[arg(long, default_value_t = 1)]
    copies: u64,
    /// How long at most to wait until every acknowledged lead is in the CRM, seconds
    #[arg(long, default_value_t = 60.0)]
    drain: f64,
    /// How long nothing more may arrive before the run counts as over, seconds
    #[arg(long, default_value_t = 1.0)]
    quiet: f64,
    /// Who is measured, for the line that is printed
    #[arg(long, default_value = "server")]
    subject: String,
    /// What is measured, for the line that is printed
    #[arg(long, default_value = "run")]
    phase: String,
}

/// What one lead has met.
#[derive(Debug, Clone, Copy, Default)]
struct Met {
    /// When it was first sent, or should have been.
    sent_ns: u64,
    acknowledged: bool,
}

#[derive(Debug, Default)]
struct Tally {
    leads: Vec<Met>,
    replies_us: Vec<u64>,
    answers: BTreeMap<u16, u64>,
    broken: u64,
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
    args: Args,
    host: String,
    path: String,
    name: String,
    key: hmac::Key,
    start: Instant,
    next: Cell<u64>,
    tally: RefCell<Tally>,
    peak_mib: Cell<f64>,
}

impl Run {
    fn new(args: Args) -> Result<Run> {
        let place = args
            .url
            .strip_prefix("http://")
            .context("--url begins with http://")?;
        let (host, path) = place.split_once('/').context("--url has a path")?;
        Ok(Run {
            host: host.to_owned(),
            path: format!("/{path}"),
            name: format!("r{:x}", now_ns() / 1_000_000),
            key: lead::key(&args.secret),
            start: Instant::now(),
            next: Cell::new(0),
            tally: RefCell::default(),
            peak_mib: Cell::new(0.0),
            args,
        })
    }

    /// The next message and the moment since which it waits; none when all have been sent.
    async fn claim(&self) -> Option<(u64, Instant)> {
        let n = self.next.get();
        let Some(rate) = self.args.rate else {
            let more = self.start.elapsed().as_secs_f64() < self.args.seconds;
            self.next.set(n + 1);
            return more.then(|| (n, Instant::now()));
        };
        if n as f64 >= rate * self.args.seconds {
            return None;
        }
        self.next.set(n + 1);
        let due = self.start + Duration::from_secs_f64(n as f64 / rate);
        if due <= Instant::now() {
            // Every connection was busy: the message waits since it was due.
            return Some((n, due));
        }
        tokio::time::sleep_until(due.into()).await;
        Some((n, Instant::now()))
    }

    fn request(&self, n: u64) -> String {
        let (id, body) = (lead::id(&self.name, n), lead::body(&self.name, n));
        let signature = lead::signature(&self.key, body.as_bytes());
        let (path, host, header, length) = (&self.path, &self.host, lead::SIGNATURE, body.len());
        format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n{header}: {signature}\r\n\
             idempotency-key: {id}\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    }

    /// One connection: sends until there is nothing more to send.
    async fn connection(&self) {
        let mut wire = None;
        while let Some((message, since)) = self.claim().await {
            let n = message / self.args.copies.max(1);
            let request = self.request(n);
            {
                let mut tally = self.tally.borrow_mut();
                let met = tally.met(n);
                if met.sent_ns == 0 {
                    met.sent_ns = now_ns() - since.elapsed().as_nanos() as u64;
                }
            }
            match self.exchange(&mut wire, request.as_bytes()).await {
                Ok(status) => {
                    let accepted = (200..300).contains(&status);
                    {
                        let mut tally = self.tally.borrow_mut();
                        *tally.answers.entry(status).or_default() += 1;
                        if accepted {
                            tally.met(n).acknowledged = true;
                            tally.replies_us.push(since.elapsed().as_micros() as u64);
                        }
                    }
                    if !accepted {
                        sleep(REST).await;
                    }
                }
                Err(_) => {
                    wire = None;
                    self.tally.borrow_mut().broken += 1;
                    sleep(REST).await;
                }
            }
        }
    }

    async fn exchange(&self, wire: &mut Option<Wire>, request: &[u8]) -> std::io::Result<u16> {
        let open = match wire {
            Some(open) => open,
            None => wire.insert(Wire::connect(&self.host).await?),
        };
        let response = open.exchange(request).await?;
        if response
            .header("connection")
            .is_some_and(|c| c.eq_ignore_ascii_case("close"))
        {
            *wire = None;
        }
        response.status()
    }

    async fn watch_memory(&self) {
        let Some(pid) = self.args.pid else { return };
        loop {
            self.peak_mib
                .set(self.peak_mib.get().max(process::memory_mib(pid)));
            sleep(SAMPLE).await;
        }
    }

    /// Waits until every acknowledged lead has arrived and nothing more does. Gives how many had not arrived at the
    /// beginning.
    async fn drain(&self) -> Result<u64> {
        let acknowledged = self.tally.borrow().acknowledged();
        let begun = Instant::now();
        let (mut last, mut changed, mut backlog) = (String::new(), Instant::now(), None);
        loop {
            let stats = ask(&self.args.crm, "GET", "/stats")
                .await
                .context("the stub")?;
            let ids = serde_json::from_str::<Value>(&stats)?["ids"]
                .as_u64()
                .unwrap_or(0);
            backlog.get_or_insert(acknowledged.saturating_sub(ids));
            if stats != last {
                (last, changed) = (stats, Instant::now());
            }
            let quiet = changed.elapsed().as_secs_f64() >= self.args.quiet;
            if (ids >= acknowledged && quiet) || begun.elapsed().as_secs_f64() > self.args.drain {
                return Ok(backlog.unwrap_or(0));
            }
            sleep(LOOK).await;
        }
    }

    /// Waits until the server has finished what nobody waited for, so that its processor time counts as well and
    /// the next run begins on an idle machine.
    async fn rest(&self) {
        let Some(pid) = self.args.pid else { return };
        let end = Instant::now() + Duration::from_secs_f64(self.args.drain);
        let mut before = process::cpu_seconds(pid);
        while Instant::now() < end {
            sleep(STRETCH).await;
            let now = process::cpu_seconds(pid);
            if now - before < RESTING * STRETCH.as_secs_f64() {
                return;
            }
            before = now;
        }
    }

    /// Joins the leads with the stub's list.
    fn join(&self, dump: &str) -> Joined {
        let tally = self.tally.borrow();
        let mut joined = Joined::default();
        let mut arrived = vec![false; tally.leads.len()];
        for line in dump.lines() {
            let mut words = line.split(' ');
            let id = words.next().unwrap_or_default();
            let mut count = || {
                words
                    .next()
                    .and_then(|w| w.parse::<u64>().ok())
                    .unwrap_or(0)
            };
            let (first_ns, writes, repeats) = (count(), count(), count());
            let Some(n) = lead::number(&self.name, id).filter(|n| *n < arrived.len()) else {
                joined.strange += 1;
                continue;
            };
            arrived[n] = true;
            joined.cases += 1;
            joined.extra += writes.saturating_sub(1);
            joined.repeats += repeats;
            joined.last_ns = joined.last_ns.max(first_ns);
            joined
                .e2e_us
                .push(first_ns.saturating_sub(tally.leads[n].sent_ns) / 1000);
        }
        joined.lost = tally
            .leads
            .iter()
            .zip(&arrived)
            .filter(|(l, a)| l.acknowledged && !**a)
            .count() as u64;
        joined.e2e_us.sort_unstable();
        joined
    }
}

/// What the join of leads and CRM says.
#[derive(Debug, Default)]
struct Joined {
    cases: u64,
    /// Acknowledged, and never written.
    lost: u64,
    /// Written again with another key.
    extra: u64,
    /// Sent again with the same key.
    repeats: u64,
    /// Written, but never sent.
    strange: u64,
    last_ns: u64,
    e2e_us: Vec<u64>,
}

fn milliseconds(sorted_us: &[u64]) -> Value {
    let at = |share| rounded(quantile(sorted_us, share) as f64 / 1000.0);
    json!({ "p50": at(0.5), "p99": at(0.99), "max": at(1.0) })
}

async fn measure(args: Args) -> Result<Value> {
    ask(&args.crm, "POST", "/reset")
        .await
        .context("the stub does not answer")?;
    let idle_mib = args.pid.map_or(0.0, process::memory_mib);
    let before = Used::now(args.pid);
    let own_before = process::cpu_seconds(std::process::id());
    let run = Rc::new(Run::new(args)?);
    let memory = spawn_local({
        let run = Rc::clone(&run);
        async move { run.watch_memory().await }
    });
    let connections: Vec<_> = (0..run.args.connections)
        .map(|_| {
            let run = Rc::clone(&run);
            spawn_local(async move { run.connection().await })
        })
        .collect();
    for connection in connections {
        connection.await?;
    }
    let sending = run.start.elapsed().as_secs_f64();
    let backlog = run.drain().await?;
    run.rest().await;
    memory.abort();
    let used = Used::now(run.args.pid);
    let joined = run.join(&ask(&run.args.crm, "GET", "/dump").await?);
    let (cpu, threads) = used.since(&before, joined.cases);
    let own = process::cpu_seconds(std::process::id()) - own_before;

    let mut tally = run.tally.borrow_mut();
    tally.replies_us.sort_unstable();
    let accepted = tally.replies_us.len();
    let first_ns = tally
        .leads
        .iter()
        .map(|l| l.sent_ns)
        .filter(|ns| *ns > 0)
        .min()
        .unwrap_or(0);
    let wall = joined.last_ns.saturating_sub(first_ns) as f64 / 1e9;
    let answers: BTreeMap<String, u64> = tally
        .answers
        .iter()
        .map(|(s, n)| (s.to_string(), *n))
        .collect();
    Ok(json!({
        "subject": run.args.subject, "phase": run.args.phase, "run": run.name,
        "connections": run.args.connections, "rate": run.args.rate, "copies": run.args.copies,
        "accepted": accepted, "acknowledged_leads": tally.acknowledged(), "answers": answers, "broken": tally.broken,
        "accepted_per_s": rounded(accepted as f64 / sending), "reply_ms": milliseconds(&tally.replies_us),
        "cases": joined.cases, "cases_per_s": if wall > 0.0 { rounded(joined.cases as f64 / wall) } else { 0.0 },
        "backlog": backlog, "e2e_ms": milliseconds(&joined.e2e_us),
        "lost": joined.lost, "extra": joined.extra, "repeats": joined.repeats, "strange": joined.strange,
        "cpu_ms_per_case": cpu, "threads_ms_per_case": threads, "load_cpu_s": rounded(own),
        "idle_mib": rounded(idle_mib), "peak_mib": rounded(run.peak_mib.get()),
    }))
}

fn main() -> Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let line = LocalSet::new().block_on(&runtime, measure(args))?;
    println!("{line}");
    Ok(())
}
