//! Any text is a dial plan or is refused with a line that it has; whatever number is looked up in one
//! leads to a step of its own, and arguments become text of bounded length.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;
use tipring_apid::plan::substitute::{Scope, TEXT_MAX, expand};
use tipring_apid::plan::{Position, read_text};

struct Nothing;

impl Scope for Nothing {
    fn variable(&self, name: &str) -> Option<String> {
        (name.len() % 2 == 0).then(|| name.to_owned())
    }

    fn function(&self, name: &str, arguments: &str) -> Result<String, String> {
        Ok(format!("{arguments}{name}"))
    }
}

fuzz_target!(|octets: &[u8]| {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    let plan = match read_text(text, Path::new("/nowhere/extensions.conf")) {
        Ok(plan) => plan,
        Err(error) => {
            assert!(error.line <= text.lines().count() + 1, "{error}");
            return;
        }
    };
    for context in plan.contexts.keys() {
        for number in ["s", "i", "401", "9", "*#0A", "123456789012345678901234567890"] {
            let _ = plan.match_digits(context, number);
            let Some(found) = plan.find(context, number) else { continue };
            assert!(!found.extension.steps.is_empty());
            if let Some(step) = plan.step(&Position::start(context, number)) {
                let mut complaints = Vec::new();
                assert!(expand(&step.data, &Nothing, &mut complaints).len() <= TEXT_MAX);
            }
        }
    }
});
