//! The proofs on whole files: what they find, where they point, and that what they show really happens.

mod common;

use tl_lang::proof::{Sources, prove};
use tl_lang::load;

#[test]
fn show() {
    for (dir, id) in [("short", "support_ticket_triage"), ("../../throughline/demo/project", "inbound_lead")] {
        let project = common::directory(dir);
        let loaded = load(&project, id);
        let program = loaded.program.expect("loads");
        let file = format!("workflows/{id}/workflow.yaml");
        let text = project.text(&file).unwrap();
        let t = std::time::Instant::now();
        let diags = prove(&program, &Sources { workflow: &file, workflow_text: text, policy: &file, policy_text: text });
        println!("{dir} {:?}\n{}", t.elapsed(), tl_lang::render(&diags, |f| project.text(f), false));
    }
}
