//! How long the lists take that people and scripts look at.

use std::time::Instant;

use anyhow::anyhow;

use super::house::{House, block_on};
use crate::app::DEFAULT_TENANT;
use crate::config::Config;
use crate::control::request::{CaseQuery, EffectQuery, Request, TaskQuery};
use crate::control::socket::{Client, envelope};
use crate::failure::Failure;

/// How often each is asked for.
const TIMES: usize = 100;
/// Rows of a page.
const PAGE: u32 = 50;

/// The slowest of them.
pub struct Slowest {
    /// Its name.
    pub list: &'static str,
    /// Its 99th percentile, milliseconds.
    pub p99_ms: f64,
}

/// Asks for each list, and tells of the one whose 99th percentile is the highest.
pub fn slowest(house: &House) -> anyhow::Result<Slowest> {
    let config = house.config()?;
    let worst = block_on(async { ask(&config).await.map_err(|e| anyhow!("{e}")) })?;
    let (list, worst) = worst;
    Ok(Slowest {
        list,
        p99_ms: worst as f64 / 1e3,
    })
}

async fn ask(config: &Config) -> Result<(&'static str, u64), Failure> {
    let mut client = Client::connect_or_open(config).await?;
    let mut worst = ("", 0);
    for (name, list) in lists() {
        let mut took = Vec::with_capacity(TIMES);
        for _ in 0..TIMES {
            let begun = Instant::now();
            client.ask(envelope(DEFAULT_TENANT, list.clone())).await?;
            took.push(begun.elapsed().as_micros() as u64);
        }
        took.sort_unstable();
        let p99 = tl_bench::quantile(&took, 0.99);
        if p99 > worst.1 {
            worst = (name, p99);
        }
    }
    client.close().await;
    Ok(worst)
}

fn lists() -> [(&'static str, Request); 5] {
    let cases = |state: Option<&str>, closed| Request::CaseList {
        filter: CaseQuery {
            state: state.map(str::to_owned),
            closed,
            limit: PAGE,
            ..CaseQuery::default()
        },
    };
    [
        ("cases", cases(None, None)),
        ("open cases", cases(None, Some(false))),
        ("closed cases", cases(Some("closed"), None)),
        (
            "tasks",
            Request::TaskList {
                filter: TaskQuery {
                    limit: PAGE,
                    ..TaskQuery::default()
                },
            },
        ),
        (
            "effects",
            Request::EffectList {
                filter: EffectQuery {
                    limit: PAGE,
                    ..EffectQuery::default()
                },
            },
        ),
    ]
}
