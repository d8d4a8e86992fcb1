//! A stub of a CRM, as a process of its own.

use std::net::TcpListener;
use std::time::Duration;

use clap::Parser;

/// A stub of a CRM. GET /stats counts, GET /dump lists `id first_ns writes repeats`, POST /reset forgets, POST /delay/MS changes the delay.
#[derive(Debug, Parser)]
struct Args {
    /// Where it listens
    #[arg(long, default_value = "127.0.0.1:9900")]
    listen: String,
    /// How long an answer takes; the write counts before
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let delay = Duration::from_millis(args.delay_ms);
    tl_bench::crm::run(TcpListener::bind(&args.listen)?, delay)?;
    Ok(())
}
