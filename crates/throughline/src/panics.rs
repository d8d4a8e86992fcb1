//! What a panic says: where, and words that stand in the program. A message that was put together from values may
//! hold a person's, and is left out.

use std::panic::PanicHookInfo;

/// Panics of this process say no values from now on.
pub fn without_values() {
    std::panic::set_hook(Box::new(|info| {
        if nobody_reads(info) {
            std::process::exit(0);
        }
        eprintln!("{}", words(info));
    }));
}

/// Whoever read our output has enough of it, as `head` does: that is no fault.
fn nobody_reads(info: &PanicHookInfo<'_>) -> bool {
    let message = info.payload().downcast_ref::<String>();
    message.is_some_and(|m| m.starts_with("failed printing to stdout") && m.contains("os error 32"))
}

fn words(info: &PanicHookInfo<'_>) -> String {
    let place = info
        .location()
        .map_or_else(String::new, |l| format!(" at {l}"));
    let said = match info.payload().downcast_ref::<&'static str>() {
        Some(text) => text,
        None => "its message holds values and is left out",
    };
    format!(
        "a thread panicked{place}: {said}. This is a fault of throughline; please report the place"
    )
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::words;

    #[test]
    fn a_panic_says_where_and_no_values() {
        let said = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&said);
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| *kept.lock().unwrap() = words(info)));
        let cut = |at: usize| drop(std::panic::catch_unwind(|| "dana@acmé.example"[..at].len()));
        // In the middle of the é: the message of this panic repeats the text.
        cut(9);
        let sliced = said.lock().unwrap().clone();
        drop(std::panic::catch_unwind(|| panic!("a fixed text")));
        let fixed = said.lock().unwrap().clone();
        std::panic::set_hook(before);
        assert!(
            sliced.contains("panics.rs:") && !sliced.contains("dana"),
            "{sliced}"
        );
        assert!(fixed.contains("a fixed text"), "{fixed}");
    }
}
