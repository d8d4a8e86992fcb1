//! The notations that people write by hand load exactly as they are written.

mod common;

use common::{directory, program, shown};
use tl_lang::load;

#[test]
fn the_short_file_loads_as_written() {
    let p = directory("short");
    let loaded = load(&p, "support_ticket_triage");
    assert!(loaded.program.is_some(), "{}", shown(&p, &loaded));
    eprintln!("{:#?}\n{}", loaded.notes, shown(&p, &loaded));
    eprintln!("{:#?}", loaded.program);
}

#[test]
fn long() {
    let p = directory("long");
    let loaded = load(&p, "support_ticket_triage");
    eprintln!("{:#?}\n{}", loaded.notes, shown(&p, &loaded));
    let _ = program;
}
