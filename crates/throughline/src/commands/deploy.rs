//! `deploy`: check, show what changes, ask, make current.

use std::io::IsTerminal;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::tasks::confirm;
use super::{Shell, print};
use crate::control::Reply;
use crate::control::request::{Files, Request};
use crate::failure::Failure;

/// Deploys the project directory.
pub fn run(shell: &Shell, yes: bool) -> Result<(), Failure> {
    let project = crate::project::read(&shell.dir)?;
    if project.workflows().is_empty() {
        return Err(Failure::not_found(crate::project::no_workflow(&shell.dir)));
    }
    let files: Files = project
        .files
        .iter()
        .map(|(path, bytes)| (path.clone(), STANDARD.encode(bytes)))
        .collect();
    let config = shell.config()?;
    let reply = shell.block_on(async {
        // Not through `with_client`, which deploys what was never deployed by itself.
        let mut client = crate::control::socket::Client::connect_or_open(&config).await?;
        let result = plan_and_deploy(shell, &mut client, files, yes).await;
        client.close().await;
        result
    })?;
    if let Some(reply) = reply.filter(|_| !shell.json) {
        print::reply(&reply, false);
    }
    Ok(())
}

/// For scripts: what would change, and what was made current.
fn print_json(plan: &Reply, deployed: Option<&Reply>) {
    let read = |reply: &Reply| serde_json::from_str(&print::as_json(reply)).unwrap_or_default();
    let deployed: serde_json::Value = deployed.map(read).unwrap_or_default();
    let both = serde_json::json!({ "plan": read(plan), "deployed": deployed });
    println!("{both:#}");
}

async fn plan_and_deploy(
    shell: &Shell,
    client: &mut crate::control::socket::Client,
    files: Files,
    yes: bool,
) -> Result<Option<Reply>, Failure> {
    let plan = client
        .ask(shell.envelope(Request::Plan {
            files: files.clone(),
        }))
        .await?;
    let Reply::Plan(workflows) = &plan else {
        return Err(Failure::unreachable(
            "the server gave another answer than was asked for",
        ));
    };
    if !shell.json {
        print::reply(&plan, false);
    }
    let deploy = Request::Deploy { files };
    if workflows.iter().any(|w| !w.ok) {
        if shell.json {
            print_json(&plan, None);
        }
        // It is refused there, so that the audit has it.
        return client.ask(shell.envelope(deploy)).await.map(Some);
    }
    let changes = workflows.iter().any(|w| !w.changes.is_empty());
    if changes && !yes {
        if shell.json {
            print_json(&plan, None);
        }
        if shell.json || !std::io::stdin().is_terminal() {
            return Err(Failure::usage(
                "nobody can be asked here: pass --yes to deploy this",
            ));
        }
        if !confirm("Make this the current version?")? {
            return Err(Failure::refused("nothing was deployed"));
        }
    }
    let deployed = match changes {
        true => client.ask(shell.envelope(deploy)).await?,
        false => Reply::Versions(Vec::new()),
    };
    if shell.json {
        print_json(&plan, Some(&deployed));
    }
    Ok(changes.then_some(deployed))
}
