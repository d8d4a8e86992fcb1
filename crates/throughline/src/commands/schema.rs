//! `schema`: the shape of the workflow file for editors, and where a new project keeps it.

/// The schema's file in a project directory.
pub const FILE: &str = "workflow.schema.json";

/// The first line of a workflow file that tells an editor's YAML language server about the schema; its path is
/// seen from `workflows/<id>/`.
pub const EDITOR_LINE: &str = "# yaml-language-server: $schema=../../workflow.schema.json\n";

/// The schema as JSON text.
pub fn text() -> String {
    format!("{:#}\n", tl_lang::json_schema())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_names_the_file() {
        assert!(EDITOR_LINE.ends_with(&format!("/{FILE}\n")));
    }
}
