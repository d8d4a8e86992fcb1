//! The connectors that come with the product: each file is right, and says how far it is known to be.

use tl_kernel::connector::Proof;
use tl_lang::connector::SHIPPED;

use crate::stand::connector;

#[test]
fn every_shipped_file_reads_without_a_finding() {
    for (name, source) in SHIPPED {
        let read = tl_lang::connector::read(&format!("connectors/{name}.yaml"), source);
        let found: Vec<String> = read
            .diags
            .iter()
            .map(|d| {
                format!(
                    "{}:{}:{} {} {} ({})",
                    name, d.line, d.column, d.code, d.message, d.why
                )
            })
            .collect();
        assert!(found.is_empty(), "{}", found.join("\n"));
        let connector = connector(name, source);
        assert!(!connector.operations.is_empty(), "{name} can do something");
        let stated =
            connector.verified.by == Proof::Unverified || !connector.verified.source.is_empty();
        assert!(stated, "{name} names its source");
    }
}
