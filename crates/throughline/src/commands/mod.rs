//! What each command does: ask the installation, print the answer.

mod check;
mod connector;
mod deploy;
mod eval;
mod explain;
mod export;
mod graph;
mod import;
mod init;
mod print;
mod redrive;
mod schema;
mod send;
mod tasks;
mod verify;

use tokio::runtime::Runtime;

use crate::cli::{
    Args, Audit, Case, Clock, Command, Connection, Dead, Effect, Endpoint, Flag, How, Key, Kill,
    Outbox, Record, Suppression, Task, Tenant,
};
use crate::config::Config;
use crate::control::request::{self, CaseChange, CaseQuery, EffectQuery, Request, TaskQuery};
use crate::control::socket::{Client, envelope};
use crate::control::{Envelope, Reply};
use crate::failure::Failure;
use crate::page::Page;

/// States of effects that will not be sent again by themselves.
const DEAD: [&str; 2] = ["failed", "dead"];
/// Words of a reason that may still be a code.
const REASON_WORDS: usize = 2;

/// What a command needs to know.
pub(crate) struct Shell {
    pub(crate) dir: std::path::PathBuf,
    pub(crate) tenant: String,
    pub(crate) json: bool,
    runtime: Runtime,
}

/// Runs a command line.
pub fn run(args: Args) -> Result<(), Failure> {
    let runtime = match args.command {
        Command::Serve { .. } | Command::Demo { .. } => Runtime::new(),
        _ => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build(),
    };
    let runtime =
        runtime.map_err(|e| Failure::unreachable(format!("no threads can be started: {e}")))?;
    let shell = Shell {
        dir: args.dir,
        tenant: args.tenant,
        json: args.json,
        runtime,
    };
    match args.command {
        Command::Serve {
            listen,
            store,
            role,
        } => {
            let typed: Vec<(&str, String)> = [
                ("listen", listen),
                ("store", store),
                ("role", role.map(|r| r.word().to_owned())),
            ]
            .into_iter()
            .filter_map(|(key, text)| Some((key, text?)))
            .collect();
            let config = Config::load_with(&shell.dir, |name| std::env::var(name).ok(), &typed)?;
            shell
                .runtime
                .block_on(crate::serve::run(config, shell.json))
        }
        Command::Demo {
            template,
            once,
            keep,
        } => {
            let options = crate::demo::Options {
                template,
                once,
                json: shell.json,
                keep,
            };
            shell.runtime.block_on(crate::demo::run(options))
        }
        Command::Bench(options) => crate::bench::run(&options, shell.json),
        Command::Init { target } => init::run(&shell, &target),
        Command::Check { path, strict } => check::run(&shell, path.as_deref(), strict),
        Command::Schema => {
            print!("{}", schema::text());
            Ok(())
        }
        Command::Connector(asked) => connector::run(&shell, asked),
        Command::Graph {
            workflow,
            svg,
            mermaid,
        } => graph::run(&shell, workflow.as_deref(), svg, mermaid),
        Command::Send(args) => send::run(&shell, &args),
        Command::Try(args) => send::rehearse(&shell, &args),
        Command::Import(args) => import::run(&shell, &args),
        Command::Eval(args) => eval::run(&shell, &args),
        Command::Explain { id } => explain::run(&shell, id),
        Command::Task(Task::Decide {
            task,
            decision,
            reason,
            digest,
            set,
            note,
        }) => tasks::decide(
            &shell,
            tasks::Decided {
                task,
                decision,
                reason,
                digest,
                set,
                note,
            },
        ),
        Command::Audit(Audit::Verify {
            file,
            key,
            checkpoints,
        }) => verify::run(&shell, &file, key.as_deref(), checkpoints.as_deref()),
        Command::Audit(Audit::Export { output }) => export::run(&shell, output.as_deref()),
        Command::Migrate => migrate(&shell),
        Command::Config => config(&shell),
        Command::Deploy { yes } => deploy::run(&shell, yes),
        Command::Dead(Dead::Show { effect }) => dead_show(&shell, effect),
        Command::Dead(Dead::Redrive(args)) => redrive::run(&shell, args),
        Command::Kill(command) => kill(&shell, command),
        Command::Connection(Connection::Check { name }) => connection_check(&shell, name),
        other => shell.print(request_of(other)?),
    }
}

/// Commands that are one request; the others are handled before.
fn request_of(command: Command) -> Result<Request, Failure> {
    Ok(match command {
        Command::Case(c) => case(c),
        Command::Task(t) => task(t)?,
        Command::Effect(e) => effect(e),
        Command::Dead(d) => dead(d)?,
        Command::Connection(_) => Request::ConnectionList,
        Command::Versions => Request::Versions,
        Command::Rollback {
            workflow,
            number,
            reason,
        } => Request::Rollback {
            workflow,
            number,
            reason,
        },
        Command::Tenant(t) => tenant(t)?,
        Command::Endpoint(e) => endpoint(e)?,
        Command::Key(k) => key(k),
        Command::Flag(Flag::Set {
            name,
            value,
            installation,
        }) => Request::FlagSet {
            name,
            value: value.value(),
            installation,
        },
        Command::Flag(Flag::List) => Request::FlagList,
        Command::Suppression(command) => suppression(command),
        Command::Outbox(Outbox::List { case, limit }) => Request::OutboxList { case, limit },
        Command::Outbox(Outbox::Show { effect }) => Request::OutboxShow { effect },
        Command::Record(Record::Show { record_type, id }) => {
            Request::RecordShow { record_type, id }
        }
        Command::Status => Request::Status,
        Command::Clock { what: None } => Request::Clock,
        Command::Clock {
            what: Some(Clock::Accept { reason }),
        } => Request::ClockAccept { reason },
        _ => return Err(elsewhere()),
    })
}

fn elsewhere() -> Failure {
    Failure::usage("this command is no single request")
}

fn task(t: Task) -> Result<Request, Failure> {
    match t {
        Task::List {
            owner,
            case,
            all,
            limit,
        } => {
            let filter = TaskQuery {
                owners: owner,
                case,
                closed: all,
                limit,
            };
            Ok(Request::TaskList { filter })
        }
        Task::Show { task } => Ok(Request::TaskShow { id: task }),
        Task::Decide { .. } => Err(elsewhere()),
    }
}

fn dead(d: Dead) -> Result<Request, Failure> {
    Ok(match d {
        Dead::List { limit } => {
            let states = DEAD.map(str::to_owned).to_vec();
            Request::EffectList {
                filter: EffectQuery {
                    states,
                    case: None,
                    no_questions: true,
                    limit,
                },
            }
        }
        Dead::Groups => Request::Groups,
        Dead::Show { .. } | Dead::Redrive(_) => return Err(elsewhere()),
    })
}

/// Shows what came of asking; a connection that cannot be used is a failure of the command.
fn connection_check(shell: &Shell, name: Option<String>) -> Result<(), Failure> {
    let reply = shell.ask(Request::ConnectionCheck { name })?;
    print::reply(&reply, shell.json);
    let Reply::Connections(lines) = &reply else {
        return Ok(());
    };
    let bad = lines.iter().filter(|l| {
        let checked = l.checked.as_ref();
        checked.is_some_and(|c| c.fine == Some(false))
    });
    let names: Vec<&str> = bad.map(|l| l.connection.as_str()).collect();
    match names.is_empty() {
        true => Ok(()),
        false => Err(Failure::refused(format!(
            "TL0822 nothing can be sent through {}",
            names.join(", ")
        ))),
    }
}

/// An effect that failed or was given up; every other one is not dead, whoever asks.
fn dead_show(shell: &Shell, effect: String) -> Result<(), Failure> {
    let reply = shell.ask(Request::EffectShow { id: effect })?;
    if let Reply::Effect(sheet) = &reply
        && !DEAD.contains(&sheet.effect.state.as_str())
    {
        return Err(Failure::not_found(format!(
            "{id} is {}, not dead: `throughline effect show {id}` shows it",
            sheet.effect.state,
            id = sheet.effect.effect
        )));
    }
    print::reply(&reply, shell.json);
    Ok(())
}

fn tenant(t: Tenant) -> Result<Request, Failure> {
    let disabled = |name, disabled, reason| Request::TenantDisabled {
        name,
        disabled,
        reason,
    };
    Ok(match t {
        Tenant::Rotate { .. } => {
            return Err(Failure::usage(
                "a tenant has no secret of its own: its endpoints and API keys have. `throughline --tenant NAME \
                 endpoint rotate ENDPOINT` and `throughline --tenant NAME key rotate KEY` make new ones",
            ));
        }
        Tenant::Create { name } => Request::TenantCreate { name },
        Tenant::List => Request::TenantList,
        Tenant::Disable { name, reason } => disabled(name, true, reason),
        Tenant::Enable { name, reason } => disabled(name, false, reason),
    })
}

fn endpoint(e: Endpoint) -> Result<Request, Failure> {
    let disabled = |endpoint, disabled, reason| Request::EndpointDisabled {
        endpoint,
        disabled,
        reason,
    };
    Ok(match e {
        Endpoint::Create { .. } => {
            return Err(Failure::usage(
                "endpoints come from the workflow file: write one under `ingress.channels` and `throughline deploy` \
                 makes it. `throughline endpoint rotate ENDPOINT` then makes its secret",
            ));
        }
        Endpoint::List => Request::EndpointList,
        Endpoint::Rotate {
            endpoint,
            overlap,
            secret_file,
        } => Request::EndpointRotate {
            endpoint,
            overlap,
            secret: secret_file.map(|path| send::text_of(&path)).transpose()?,
        },
        Endpoint::Disable { endpoint, reason } => disabled(endpoint, true, reason),
        Endpoint::Enable { endpoint, reason } => disabled(endpoint, false, reason),
    })
}

fn key(k: Key) -> Request {
    match k {
        Key::Create { scope, expires } => Request::KeyCreate {
            scopes: scope,
            lives: expires,
        },
        Key::Rotate {
            key,
            overlap,
            expires,
        } => Request::KeyRotate {
            kid: key,
            overlap,
            lives: expires,
        },
        Key::List => Request::KeyList,
        Key::Disable { key, reason } => Request::KeyDisable { kid: key, reason },
    }
}

fn case(c: Case) -> Request {
    let change = |id, reason, what| Request::CaseCommand { id, reason, what };
    match c {
        Case::List {
            state,
            workflow,
            open,
            closed,
            before,
            limit,
        } => {
            let closed = if open {
                Some(false)
            } else {
                closed.then_some(true)
            };
            Request::CaseList {
                filter: CaseQuery {
                    state,
                    workflow,
                    closed,
                    before,
                    limit,
                },
            }
        }
        Case::Show { case } => Request::CaseShow { id: case },
        Case::Move {
            case,
            state,
            reason,
        } => change(case, reason, CaseChange::Move(state)),
        Case::Assign {
            case,
            owner,
            reason,
        } => change(case, reason, CaseChange::Assign(owner)),
        Case::Close { case, reason } => change(case, reason, CaseChange::Close),
        Case::Reopen { case, reason } => change(case, reason, CaseChange::Reopen),
    }
}

fn effect(e: Effect) -> Request {
    match e {
        Effect::List { state, case, limit } => Request::EffectList {
            filter: EffectQuery {
                states: state,
                case,
                no_questions: false,
                limit,
            },
        },
        Effect::Show { effect } => Request::EffectShow { id: effect },
        Effect::Resolve {
            effect,
            how,
            reference,
            reason,
        } => {
            let how = match how {
                How::Happened => request::How::Happened(reference),
                How::SendAgain => request::How::SendAgain,
                How::Drop => request::How::Drop,
            };
            Request::EffectResolve {
                id: effect,
                how,
                reason,
            }
        }
    }
}

impl Shell {
    pub(crate) fn config(&self) -> Result<Config, Failure> {
        Config::load(&self.dir, |name| std::env::var(name).ok())
    }

    pub(crate) fn envelope(&self, request: Request) -> Envelope {
        warn_of_prose(&request);
        envelope(&self.tenant, request)
    }

    /// Asks several questions over one connection.
    pub(crate) fn with_client<T>(
        &self,
        work: impl AsyncFnOnce(&Shell, &mut Client) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let config = self.config()?;
        self.runtime.block_on(async {
            let mut client = Client::connect_or_open(&config).await?;
            if let Client::Own(app) = &client {
                crate::serve::first_deploy_quietly(app).await;
            }
            let result = work(self, &mut client).await;
            client.close().await;
            result
        })
    }

    /// Asks one question.
    pub(crate) fn ask(&self, request: Request) -> Result<Reply, Failure> {
        self.with_client(async |shell, client| client.ask(shell.envelope(request)).await)
    }

    /// Asks and prints.
    pub(crate) fn print(&self, request: Request) -> Result<(), Failure> {
        let limit = request.limit();
        let reply = self.ask(request)?;
        print::reply(&reply, self.json);
        if let Some(limit) = limit.filter(|l| reply.rows() == Some(*l as usize)) {
            eprintln!("{limit} rows is the limit: there may be more, and --limit N shows them");
        }
        Ok(())
    }

    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }
}

/// A sentence is taken as a reason, and whoever typed it is told what becomes of it.
fn warn_of_prose(request: &Request) {
    let words = |text: &str| text.split_whitespace().count();
    if request.reason().is_some_and(|r| words(r) > REASON_WORDS) {
        let note = match request {
            Request::TaskDecide(_) => "; words about the case belong into --note",
            _ => "",
        };
        eprintln!(
            "warning: a reason stays in the audit for good, where nothing about a person belongs: a short code such as \
             wrong_owner is enough{note}"
        );
    }
}

fn suppression(s: Suppression) -> Request {
    match s {
        Suppression::List { limit } => Request::SuppressionList { limit },
        Suppression::Add { address, reason } => Request::SuppressionAdd { address, reason },
        Suppression::Remove {
            address,
            reason,
            over_stop,
        } => Request::SuppressionRemove {
            address,
            reason,
            over_stop,
        },
    }
}

/// Kill switches work beside a server that does not answer.
fn kill(shell: &Shell, command: Kill) -> Result<(), Failure> {
    let config = shell.config()?;
    let request = match command {
        Kill::Set {
            scope,
            mode,
            reason,
        } => Request::KillSet {
            scope,
            mode,
            reason,
        },
        Kill::Clear { scope, reason } => Request::KillClear { scope, reason },
        Kill::List => Request::KillList,
    };
    let reply = shell.block_on(async {
        let client = Client::for_switch(&config).await?;
        client
            .ask_for_switch(&config, shell.envelope(request))
            .await
    })?;
    print::reply(&reply, shell.json);
    Ok(())
}

/// Opening the store brings it up to date; a server that runs has done so.
fn migrate(shell: &Shell) -> Result<(), Failure> {
    let said = shell.with_client(async |_, client| {
        Ok(match client {
            Client::Own(app) => format!(
                "{} is up to date with this release",
                app.config.store.shown()
            ),
            Client::Server(_) => "a server runs and has brought the database up to date".to_owned(),
        })
    })?;
    if shell.json {
        println!("{}", serde_json::json!({ "said": said }));
    } else {
        println!("{said}");
    }
    Ok(())
}

fn config(shell: &Shell) -> Result<(), Failure> {
    let config = shell.config()?;
    if shell.json {
        println!(
            "{}",
            serde_json::to_string_pretty(&config.origins).unwrap_or_default()
        );
        return Ok(());
    }
    let rows: Vec<Vec<String>> = config
        .origins
        .iter()
        .map(|s| {
            vec![
                s.key.to_owned(),
                if s.value.is_empty() {
                    "-".into()
                } else {
                    s.value.clone()
                },
                s.from.clone(),
                s.help.to_owned(),
            ]
        })
        .collect();
    let page = Page::of_stdout();
    let table = page.table(&["key", "value", "from", "what it is for"], &rows, "");
    print!("{}", page.fit(&table));
    Ok(())
}
