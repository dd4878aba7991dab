//! Rules about the code: who may use whom, where `unsafe` may stand, what a file may name.

use std::path::{Path, PathBuf};
use tipring_tests::system::repository;

fn files(folder: &Path, end: &str, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                files(&path, end, into);
            }
        } else if name.ends_with(end) {
            into.push(path);
        }
    }
}

fn sources(folder: &str) -> Vec<(String, String)> {
    let root = repository();
    let mut found = Vec::new();
    files(&root.join(folder), ".rs", &mut found);
    found.sort();
    found
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(root).expect("in it").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).expect("UTF-8"))
        })
        .collect()
}

/// The code of a file without its unit tests and comments, since a test may look further than
/// what it tests.
fn code(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod ").unwrap_or(text.len());
    text[..end].lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Every path that starts at `crate` or a sibling crate, with braces unfolded:
/// `use crate::{a::b, c};` gives `crate::a::b` and `crate::c`.
fn paths(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for start in ["crate::", "super::", "tipring_engine::", "tipring_apid::", "tipring_shm_proto::"]
    {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            unfold(&code[at..], &mut String::new(), &mut found);
        }
    }
    found
}

fn unfold(text: &str, prefix: &mut String, found: &mut Vec<String>) -> usize {
    let base = prefix.len();
    let mut at = 0;
    let bytes = text.as_bytes();
    while at < bytes.len() {
        let c = bytes[at] as char;
        if c.is_alphanumeric() || c == '_' || c == ':' {
            prefix.push(c);
            at += 1;
        } else if c == '{' && prefix.ends_with("::") {
            at += 1;
            loop {
                while at < bytes.len() && (bytes[at].is_ascii_whitespace() || bytes[at] == b',') {
                    at += 1;
                }
                if at >= bytes.len() || bytes[at] == b'}' {
                    at += 1;
                    break;
                }
                let used = unfold(&text[at..], prefix, found);
                at += used.max(1);
                // `c as d`: what it is called here does not matter.
                while at < bytes.len() && !matches!(bytes[at], b',' | b'}') {
                    at += 1;
                }
            }
            prefix.truncate(base);
            return at;
        } else {
            break;
        }
    }
    if prefix.len() > base {
        found.push(prefix.clone());
    }
    prefix.truncate(base);
    at
}

#[test]
fn braces_are_unfolded() {
    let found = paths("use crate::{a::{b, c as d}, e};\nlet x = crate::f::g(1);");
    assert_eq!(found, ["crate::a::b", "crate::a::c", "crate::e", "crate::f::g"]);
}

/// `folder` (or one file) of a crate, and what it must not name.
struct Rule {
    of: &'static str,
    not: &'static [&'static str],
    why: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        of: "engine/src/codec",
        not: &["device", "line", "crossing", "frame_loop", "supervisor", "trace", "config"],
        why: "codecs know frames only",
    },
    Rule {
        of: "engine/src/dsp",
        not: &["device", "line", "crossing", "frame_loop", "supervisor", "trace", "config"],
        why: "signal processing knows frames only",
    },
    Rule {
        of: "engine/src/mixer",
        not: &["device", "line", "crossing", "frame_loop", "supervisor", "trace", "config"],
        why: "the mixer knows frames only",
    },
    Rule {
        of: "engine/src/line",
        not: &["device", "dsp", "codec", "mixer", "crossing", "frame_loop", "supervisor", "trace"],
        why: "line rules decide, and others do",
    },
    Rule {
        of: "engine/src/device",
        not: &["codec", "line", "mixer", "crossing", "frame_loop", "supervisor"],
        why: "devices carry octets",
    },
    Rule {
        of: "engine/src/frame_loop",
        not: &["config", "startup", "supervisor", "journal"],
        why: "nothing on a frame loop parses or logs",
    },
    Rule {
        of: "apid/src/call",
        not: &["http", "sip", "ami", "engine_link", "stream", "control", "hub"],
        why: "call rules are sans-IO",
    },
    Rule {
        of: "apid/src/control",
        not: &["http", "sip", "ami", "stream", "channel", "plan", "agi"],
        why: "the one door knows nobody above it",
    },
    Rule {
        of: "apid/src/channel",
        not: &["engine_link", "http", "sip", "ami", "stream", "plan", "agi"],
        why: "channels follow calls, whoever speaks of them",
    },
    Rule {
        of: "apid/src/ami",
        not: &["engine_link", "http", "sip", "stream", "plan", "agi"],
        why: "surfaces translate and go through control",
    },
    Rule {
        of: "apid/src/agi",
        not: &["http", "sip", "ami", "stream", "control", "hub", "engine_link", "plan", "channel"],
        why: "AGI is lines and what they ask for",
    },
    Rule {
        of: "apid/src/plan",
        not: &["http", "sip", "ami", "stream", "engine_link", "config"],
        why: "plans act through control",
    },
    Rule {
        of: "apid/src/http",
        not: &["engine_link", "sip", "ami", "stream", "plan", "agi"],
        why: "surfaces translate and go through control",
    },
    Rule {
        of: "apid/src/stream",
        not: &["engine_link", "http", "sip", "ami"],
        why: "surfaces translate and go through control",
    },
    Rule {
        of: "apid/src/sip",
        not: &["engine_link", "http", "ami", "stream", "plan", "agi"],
        why: "surfaces translate and go through control",
    },
];

#[test]
fn modules_use_only_whom_the_table_allows() {
    let mut offences = Vec::new();
    for rule in RULES {
        let (krate, _) = rule.of.split_once('/').expect("a crate");
        let inside = |name: &str| {
            name.strip_prefix(rule.of).is_some_and(|r| r.starts_with('/') || r.starts_with('.'))
                || (rule.of.ends_with("control") && name.starts_with("apid/src/control_"))
        };
        for (name, text) in sources(&format!("{krate}/src")).iter().filter(|(n, _)| inside(n)) {
            for path in paths(&code(text)) {
                let second = path.strip_prefix("crate::").and_then(|p| p.split("::").next());
                if second.is_some_and(|s| rule.not.contains(&s)) {
                    offences.push(format!("{name} uses {path}: {}", rule.why));
                }
            }
            if rule.of == "apid/src/call" && code(text).contains("tokio::") {
                offences.push(format!("{name} uses tokio: {}", rule.why));
            }
        }
    }
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

#[test]
fn the_two_processes_know_each_other_by_the_contract_only() {
    let of = |folder: &str, name: &str| {
        let manifest = std::fs::read_to_string(repository().join(folder).join("Cargo.toml"));
        let manifest = manifest.expect("a manifest");
        let depends = |line: &str| line.strip_prefix(name).is_some_and(|r| !r.starts_with('-'));
        let used = manifest.lines().any(depends);
        let written = sources(folder)
            .iter()
            .any(|(_, t)| code(t).contains(&format!("{}::", name.replace('-', "_"))));
        used || written
    };
    assert!(!of("engine", "tipring-apid"), "the engine must not know apid");
    assert!(!of("apid", "tipring-engine"), "apid must not know the engine");
    for shared in ["shm-proto", "logging"] {
        assert!(!of(shared, "tipring-engine") && !of(shared, "tipring-apid"), "{shared} is below");
    }
    assert!(!of("shm-proto", "tipring-logging") && !of("logging", "tipring-shm-proto"));
    let engine = std::fs::read_to_string(repository().join("engine/Cargo.toml")).expect("it");
    for banned in ["tokio", "actix", "serde_json", "tracing"] {
        assert!(!engine.contains(banned), "the engine must not depend on {banned}");
    }
}

/// The only files in which `unsafe` may stand.
const UNSAFE: &[&str] = &[
    "shm-proto/src/bounded_ring.rs",
    "shm-proto/src/overwriting_ring.rs",
    "shm-proto/src/segment.rs",
    "shm-proto/src/doorbell.rs",
    "shm-proto/src/handshake.rs",
    "shm-proto/src/sync.rs",
    "engine/src/realtime.rs",
    "engine/src/device/dahdi/ioctl.rs",
    "engine/src/vectors.rs",
];

/// Tests and benches that stand in for a hostile peer, an allocator or a bare thread.
const UNSAFE_IN_TESTS: &[&str] = &["/tests/", "/benches/", "/fuzz/"];

#[test]
fn unsafe_stands_in_named_files_only_and_each_block_has_its_reason() {
    let mut offences = Vec::new();
    for folder in
        ["shm-proto", "logging", "engine", "handler", "apid", "cli", "callkit", "signals", "tests"]
    {
        for (name, text) in sources(folder) {
            if name == "tests/tests/code_rules.rs" {
                continue;
            }
            let lines: Vec<&str> = text.lines().collect();
            for (number, line) in lines.iter().enumerate() {
                let bare = line.split("//").next().unwrap_or_default();
                let is_unsafe = bare
                    .split(|c: char| !c.is_alphanumeric() && c != '_')
                    .any(|word| word == "unsafe");
                if !is_unsafe {
                    continue;
                }
                let excused = name.starts_with("tests/") && !name.contains("/src/")
                    || UNSAFE_IN_TESTS.iter().any(|part| name.contains(part));
                if !UNSAFE.contains(&name.as_str()) && !excused {
                    offences.push(format!("{name}:{}: unsafe outside the named files", number + 1));
                }
                let opens = bare.contains("unsafe {") || bare.contains("unsafe impl");
                let near = &lines[number.saturating_sub(12)..=number];
                if opens && !near.iter().any(|l| l.contains("SAFETY:")) {
                    offences.push(format!("{name}:{}: no SAFETY comment", number + 1));
                }
            }
        }
    }
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

#[test]
fn every_package_obeys_the_shared_lints() {
    let root = std::fs::read_to_string(repository().join("Cargo.toml")).expect("manifest");
    for wanted in
        ["unsafe_code = \"deny\"", "undocumented_unsafe_blocks = \"deny\"", "pedantic = {"]
    {
        assert!(root.contains(wanted), "the workspace lints lack {wanted}");
    }
    for package in [
        "shm-proto",
        "logging",
        "engine",
        "handler",
        "apid",
        "cli",
        "callkit",
        "signals",
        "tests",
        "tests/dahdi-vm",
    ] {
        let manifest = std::fs::read_to_string(repository().join(package).join("Cargo.toml"));
        let manifest = manifest.expect("a manifest");
        assert!(manifest.contains("[lints]\nworkspace = true"), "{package} has lints of its own");
    }
    for folder in [
        "shm-proto/src",
        "logging/src",
        "engine/src",
        "handler/src",
        "apid/src",
        "cli/src",
        "callkit/src",
        "tests/src",
    ] {
        for (name, text) in sources(folder) {
            assert!(!text.contains("allow(dead_code"), "{name} keeps dead code");
            for unfinished in ["todo!(", "unimplemented!("] {
                assert!(!text.contains(unfinished), "{name} has a {unfinished}…)");
            }
        }
    }
}

#[test]
fn nothing_committed_names_a_machine() {
    let output = std::process::Command::new("git")
        .args(["grep", "-nIE", "/(home|root|Users|work)/[a-z]", "--", ".", ":!LICENSE*"])
        .current_dir(repository())
        .output();
    let Ok(output) = output else { return };
    let text = String::from_utf8_lossy(&output.stdout);
    let own: Vec<&str> =
        text.lines().filter(|line| !line.starts_with("tests/tests/code_rules.rs")).collect();
    assert!(own.is_empty(), "paths of somebody's machine:\n{}", own.join("\n"));
}

#[test]
fn the_changelog_and_the_map_name_what_is_there() {
    let readme = std::fs::read_to_string(repository().join("README.md")).expect("README");
    for folder in [
        "shm-proto",
        "logging",
        "engine",
        "handler",
        "apid",
        "cli",
        "callkit",
        "signals",
        "tests",
        "docs",
    ] {
        assert!(repository().join(folder).is_dir(), "{folder}/ is gone");
        assert!(readme.contains(folder), "the README's map lacks {folder}/");
    }
    for document in readme.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        let target = document.split('#').next().unwrap_or_default();
        if !target.is_empty() && !target.contains("://") {
            assert!(repository().join(target).exists(), "the README links {target}, which is gone");
        }
    }
}
