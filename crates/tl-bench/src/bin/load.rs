//! Sends a load and prints one line of JSON.

use anyhow::Result;
use clap::Parser;
use tl_bench::load::{Load, measure};

/// Sends signed leads to a server and joins them with what the stub of the CRM saw.
#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    load: Load,
}

fn main() -> Result<()> {
    println!("{}", measure(Args::parse().load)?);
    Ok(())
}
