//! Further tenants of the installation that is measured, with the workflow of the first.

use anyhow::anyhow;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tl_bench::load::Tenant;

use super::house::{House, block_on};
use crate::app::DEFAULT_TENANT;
use crate::config::Config;
use crate::control::Reply;
use crate::control::request::{Files, Request};
use crate::control::socket::{Client, envelope};
use crate::failure::Failure;
use crate::project;

/// The door that messages go to.
const ENDPOINT: &str = "leads";

/// Makes so many tenants, and gives their doors. Their CRM is that of the installation, or another one.
pub fn open(house: &House, count: u64, crm: Option<&str>) -> anyhow::Result<Vec<Tenant>> {
    let config = house.config()?;
    let failed = |e: Failure| anyhow!("{e}");
    let project = project::read(&config.dir).map_err(failed)?;
    let files = project.files.iter().map(|(path, bytes)| {
        let bytes = match (path.as_str(), crm) {
            ("connections.yaml", Some(crm)) => {
                let text = String::from_utf8_lossy(bytes);
                text.replace(&house.crm, crm).into_bytes()
            }
            _ => bytes.clone(),
        };
        (path.clone(), STANDARD.encode(bytes))
    });
    let files: Files = files.collect();
    // Another phase may have made some already.
    let run = tl_bench::now_ns() / 1_000_000;
    let names: Vec<String> = (0..count).map(|n| format!("t{run:x}n{n}")).collect();
    block_on(async { make(&config, &names, &files).await.map_err(failed) })
}

async fn make(config: &Config, names: &[String], files: &Files) -> Result<Vec<Tenant>, Failure> {
    let mut client = Client::connect_or_open(config).await?;
    let mut made = Vec::with_capacity(names.len());
    for name in names {
        let create = Request::TenantCreate { name: name.clone() };
        client.ask(envelope(DEFAULT_TENANT, create)).await?;
        let deploy = Request::Deploy {
            files: files.clone(),
        };
        client.ask(envelope(name, deploy)).await?;
        let rotate = Request::EndpointRotate {
            endpoint: ENDPOINT.into(),
            overlap: 0,
            secret: None,
        };
        let Reply::Secret(fresh) = client.ask(envelope(name, rotate)).await? else {
            return Err(Failure::unreachable("the server gave no secret"));
        };
        made.push(Tenant {
            path: format!("/hooks/{name}/{ENDPOINT}"),
            secret: fresh.secret,
        });
    }
    client.close().await;
    Ok(made)
}
