# The same recipes by hand and in continuous integration.

# Format, lints and every test: what a change must pass.
test:
    scripts/test

# The same with the sizes marked long.
test-long:
    scripts/test --long

# The demo: one workflow, hundreds of messages through real HTTP, a report at the end.
demo:
    cargo run --release -- demo

# Fast feedback on one crate while writing, such as `just one tl-kernel`.
one crate:
    cargo clippy -p {{crate}} --all-targets -- -D warnings -A clippy::disallowed_methods -A clippy::disallowed_types
    cargo test -p {{crate}}

# Size of files and functions, edges, dependencies, documentation of codes.
tidy:
    cargo test -p throughline --test tidy
