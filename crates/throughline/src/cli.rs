//! The command line: what can be typed, and the help that a person reads.

mod admin;
mod connector;
mod work;

use std::path::PathBuf;

use clap::{Args as ClapArgs, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::role::Role;
pub use admin::{Audit, Endpoint, Flag, Key, Tenant};
pub use connector::Connector;
pub use work::{Case, Dead, Decision, Effect, How, Kill, Outbox, Record, Task};

/// Carries one business process from the first inbound message to a validated record, and shows for every case
/// what came in, what was decided and what was done.
#[derive(Debug, Parser)]
#[command(
    name = "throughline",
    version,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "Exit codes: 0 done, 1 refused or a check found something, 2 usage, 3 not found,\n            \
                  4 cannot reach, open or write, 5 conflict or busy.\n\n\
                  See it at work: throughline demo\n\
                  Start your own: throughline init lead my-leads; cd my-leads; throughline check; throughline serve"
)]
pub struct Args {
    /// The project directory: where throughline.toml and workflows/ lie
    #[arg(
        long,
        global = true,
        env = "THROUGHLINE_DIR",
        default_value = ".",
        value_name = "DIR"
    )]
    pub dir: PathBuf,
    /// The tenant that the command is about
    #[arg(
        long,
        global = true,
        env = "THROUGHLINE_TENANT",
        default_value = "default",
        value_name = "NAME"
    )]
    pub tenant: String,
    /// Print JSON for scripts instead of text for people
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

impl Args {
    /// What was typed; where it cannot be read, or help was asked for, that is printed and the process ends.
    pub fn read() -> Args {
        Args::from_arg_matches(&grammar().get_matches()).unwrap_or_else(|e| e.exit())
    }
}

/// What can be typed. The demo makes its own project, whose tenant is the default one, so its help does not speak of
/// the arguments that name others.
fn grammar() -> clap::Command {
    let mut all = Args::command();
    all.build();
    all.mut_subcommand("demo", |demo| {
        demo.mut_args(|arg| {
            let elsewhere = arg.get_id() == "dir" || arg.get_id() == "tenant";
            arg.hide(elsewhere)
        })
    })
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server: take messages, move cases on, send effects
    Serve {
        /// Address and port of the doors; port 0 takes any free one
        #[arg(long, value_name = "ADDR")]
        listen: Option<String>,
        /// The database: a file, or postgres://USER@HOST/NAME for several nodes. Other commands take it from
        /// throughline.toml or THROUGHLINE_STORE
        #[arg(long, value_name = "FILE or URL")]
        store: Option<String>,
        /// What this node is for; other than `all` needs PostgreSQL
        #[arg(long)]
        role: Option<Role>,
    },
    /// Play a made-up company's inbound leads through a real server on this machine, and judge what came out
    Demo {
        /// End when everything is judged, instead of staying up to be looked at
        #[arg(long)]
        once: bool,
        /// Keep the project and its database here; a run that was stopped goes on from there
        #[arg(long, value_name = "DIR")]
        keep: Option<PathBuf>,
    },
    /// Make a project from a template
    Init {
        /// `lead` (the default), then the directory; or the directory alone
        #[arg(required = true, num_args = 1..=2, value_name = "[TEMPLATE] DIR")]
        target: Vec<String>,
    },
    /// Check workflow files as a compiler would, and prove what they can never do
    Check {
        /// A project directory or one workflow file; the project directory when left out
        path: Option<PathBuf>,
        /// Treat warnings as errors
        #[arg(long)]
        strict: bool,
    },
    /// Print the JSON Schema of the workflow file, for editors that complete and check while one types
    Schema,
    /// Systems that can be spoken to: list them, show one, check a file of your own, begin one
    #[command(subcommand)]
    Connector(Connector),
    /// Draw the states and transitions of a workflow
    Graph {
        /// Which workflow; needed where the project has several
        workflow: Option<String>,
        /// As an SVG image
        #[arg(long, conflicts_with = "mermaid")]
        svg: bool,
        /// As Mermaid text
        #[arg(long)]
        mermaid: bool,
    },
    /// Sign a message and post it to an endpoint
    #[command(after_help = "Example:\n  \
        throughline send lead.json --to http://127.0.0.1:8480/hooks/default/leads --secret-file secret.txt")]
    Send(Send),
    /// Say what would happen to a message: nothing is stored, nothing is sent
    #[command(after_help = "Examples:\n  \
        throughline try lead.json\n  \
        throughline try lead.json --endpoint leads --header idempotency-key=web-1")]
    Try(Try),
    /// Judge a workflow's classifier on messages whose label is known: nothing is stored, nothing is sent
    Eval(Eval),
    /// Look at cases and move them
    #[command(subcommand)]
    Case(Case),
    /// Explain a case (everything that happened, and what to do next) or an error code
    Explain {
        /// A case_…, task_…, eff_… or evt_… id, or a code such as TL0701
        #[arg(value_name = "ID or CODE")]
        id: String,
    },
    /// Look at tasks and decide them
    #[command(subcommand)]
    Task(Task),
    /// Look at effects, and say what became of uncertain ones
    #[command(subcommand)]
    Effect(Effect),
    /// Messages that wait in the outbox for a system that takes them
    #[command(subcommand)]
    Outbox(Outbox),
    /// Records of the built-in record store
    #[command(subcommand)]
    Record(Record),
    /// Effects that failed or were given up: look at them, send them again
    #[command(subcommand)]
    Dead(Dead),
    /// Kill switches: stop effects or ingest at once, with or without a running server
    #[command(subcommand)]
    Kill(Kill),
    /// The append-only audit: export it, verify an export
    #[command(subcommand)]
    Audit(Audit),
    /// Bring the database up to date with this release
    ///
    /// With the server stopped. A server that starts does it by itself, so beside one that runs nothing is left
    /// to do.
    Migrate,
    /// Show the effective settings and where each came from
    Config,
    /// Check the project, show what would change, and make it the current version
    ///
    /// Beside a running server, which takes it over at once, or without one. Open cases stay with their version.
    Deploy {
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// List the deployed versions
    Versions,
    /// Make an earlier version current again; open cases stay with theirs
    ///
    /// The files of the project stay as they are: the next `deploy` brings the newer version back, unless they are
    /// changed first.
    #[command(after_help = "Example:\n  \
        throughline versions\n  \
        throughline rollback inbound_lead 3 --reason wrong_route")]
    Rollback {
        /// Workflow id
        workflow: String,
        /// Number, as `throughline versions` shows it
        number: u32,
        /// Why, as a code
        #[arg(long)]
        reason: String,
    },
    /// Tenants: each with its own workflows, cases, endpoints, keys and audit
    #[command(subcommand)]
    Tenant(Tenant),
    /// Endpoints and their secrets. Endpoints come from the workflow file: `deploy` makes and removes them
    #[command(subcommand)]
    Endpoint(Endpoint),
    /// API keys
    #[command(subcommand)]
    Key(Key),
    /// Feature flags
    #[command(subcommand)]
    Flag(Flag),
    /// The installation at a glance
    Status,
}

/// `send`.
#[derive(Debug, ClapArgs)]
pub struct Send {
    /// The message: .json, .eml, or form fields in .form or .txt
    pub file: PathBuf,
    /// Address of the endpoint
    #[arg(long, value_name = "URL")]
    pub to: String,
    /// The endpoint's secret, as `throughline endpoint rotate` printed it
    #[arg(
        long,
        env = "THROUGHLINE_SECRET",
        hide_env_values = true,
        value_name = "SECRET"
    )]
    pub secret: Option<String>,
    /// A file that holds the secret
    #[arg(long, conflicts_with = "secret", value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// How to sign; `standard-webhooks` for a secret that begins with whsec_, else `hmac`
    #[arg(long)]
    pub scheme: Option<Scheme>,
    /// Sign as this vendor does, such as github
    #[arg(long, value_name = "NAME", conflicts_with = "scheme")]
    pub preset: Option<String>,
    /// Header of an hmac signature
    #[arg(long, default_value = "x-signature")]
    pub header: String,
    /// Idempotency-Key; a fresh one when left out
    #[arg(long)]
    pub key: Option<String>,
    /// Content type; from the file's name when left out
    #[arg(long = "type", value_name = "TYPE")]
    pub content_type: Option<String>,
}

/// How a message is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scheme {
    /// HMAC-SHA-256 of the body, in hexadecimal digits
    Hmac,
    /// Standard Webhooks v1
    StandardWebhooks,
    /// An API key as bearer token
    Bearer,
}

/// `try`.
#[derive(Debug, ClapArgs)]
pub struct Try {
    /// The message: .json, .eml, or form fields in .form or .txt
    pub file: PathBuf,
    /// The endpoint it would come through; may be left out where only one takes such a file
    #[arg(long, value_name = "NAME")]
    pub endpoint: Option<String>,
    /// Content type; from the file's name when left out
    #[arg(long = "type", value_name = "TYPE")]
    pub content_type: Option<String>,
    /// A further header, NAME=VALUE; may be given several times
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = pair)]
    pub headers: Vec<(String, String)>,
}

/// `eval`.
#[derive(Debug, ClapArgs)]
pub struct Eval {
    /// Workflow id
    pub workflow: String,
    /// Messages with their right labels: CSV with the columns text and label, or a JSON object a line (.jsonl)
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    /// A project directory with another version of the workflow, judged on the same messages
    #[arg(long, value_name = "DIR")]
    pub against: Option<PathBuf>,
    /// Write the report as a page for a browser
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.to_owned()))
        }
        _ => Err("write NAME=VALUE".into()),
    }
}

fn duration(text: &str) -> Result<i64, String> {
    tl_kernel::time::parse_duration(text)
        .ok_or_else(|| "write a duration such as 30m, 24h or 7d".into())
}

fn overlap(text: &str) -> Result<i64, String> {
    if text == "0s" || text == "0" {
        Ok(0)
    } else {
        duration(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn help_offers_what_a_command_uses() {
        // A command, and whether its help speaks of a project and a tenant.
        for (name, speaks) in [("demo", false), ("serve", true), ("deploy", true)] {
            let mut all = grammar();
            let found = all.find_subcommand_mut(name).expect("a command");
            let help = found.render_help().to_string();
            for argument in ["--dir", "--tenant"] {
                assert_eq!(help.contains(argument), speaks, "{name}: {help}");
            }
            assert!(help.contains("--json"), "{help}");
        }
        let read = |line: &[&str]| Args::from_arg_matches(&grammar().get_matches_from(line));
        let args = read(&["throughline", "demo", "--once", "--json"]).unwrap();
        assert!(args.json && matches!(args.command, Command::Demo { once: true, .. }));
        let args = read(&["throughline", "status", "--dir", "x"]).unwrap();
        assert_eq!(args.dir, PathBuf::from("x"));
    }

    #[test]
    fn pairs_and_durations_are_read() {
        assert_eq!(pair("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert!(pair("=x").is_err() && pair("x").is_err());
        assert_eq!(overlap("0s"), Ok(0));
        assert!(duration("0s").is_err());
    }
}
