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
    if let Some(reply) = reply {
        print::reply(&reply, shell.json);
    }
    Ok(())
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
    if workflows.iter().any(|w| !w.ok) {
        // It is refused there, so that the audit has it.
        return client
            .ask(shell.envelope(Request::Deploy { files }))
            .await
            .map(Some);
    }
    if workflows.iter().all(|w| w.changes.is_empty()) {
        return Ok(shell.json.then_some(Reply::Versions(Vec::new())));
    }
    if !yes {
        if !std::io::stdin().is_terminal() {
            return Err(Failure::usage(
                "nobody can be asked here: pass --yes to deploy this",
            ));
        }
        if !confirm("Make this the current version?")? {
            return Err(Failure::refused("nothing was deployed"));
        }
    }
    client
        .ask(shell.envelope(Request::Deploy { files }))
        .await
        .map(Some)
}
