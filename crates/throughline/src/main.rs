//! The binary `throughline`: command line, server, and everything that the two have in common.

mod app;
mod bench;
mod checked;
mod cli;
mod clock;
mod commands;
mod config;
mod connections;
mod console;
mod control;
mod demo;
mod diff;
mod documents;
mod embedded;
mod explain;
mod failure;
mod intake;
mod issuers;
mod keys;
mod lock;
mod mail_folder;
mod mailbox;
mod matched;
mod otlp;
mod page;
mod panics;
mod place;
mod project;
mod role;
mod serve;
mod table;
mod templates;
mod text;
mod verifier;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    panics::without_values();
    let word = std::env::args_os().nth(1);
    if word.is_some_and(|word| word == documents::WORD) {
        return documents::serve();
    }
    let args = cli::Args::read();
    let json = args.json;
    match commands::run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            match serde_json::to_string(&failure) {
                Ok(text) if json => eprintln!("{text}"),
                _ => eprintln!("{}", page::Page::of_stderr().fit(&failure.to_string())),
            }
            ExitCode::from(failure.kind.exit_code())
        }
    }
}
