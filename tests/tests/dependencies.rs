//! Licences, bans and pins of deny.toml, checked without cargo-deny.

use serde_json::Value;
use spdx::{Expression, ParseMode};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use tipring_tests::system::repository;

fn locked() -> BTreeMap<String, Vec<String>> {
    let lock = std::fs::read_to_string(repository().join("Cargo.lock")).expect("Cargo.lock");
    let mut packages: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for block in lock.split("[[package]]").skip(1) {
        let field = |name: &str| {
            let line = block.lines().find_map(|l| l.strip_prefix(&format!("{name} = \"")));
            line.map(|l| l.trim_end_matches('"').to_owned())
        };
        let name = field("name").expect("every package has a name");
        packages.entry(name).or_default().push(field("version").expect("and a version"));
    }
    packages
}

fn deny_toml() -> String {
    std::fs::read_to_string(repository().join("deny.toml")).expect("deny.toml")
}

/// What stands in quotes.
fn quoted(text: &str) -> Vec<&str> {
    text.split('"').skip(1).step_by(2).collect()
}

/// What deny.toml has between `key = [` and the `]` that ends the line.
fn list<'a>(deny: &'a str, key: &str) -> &'a str {
    let (_, rest) = deny.split_once(&format!("\n{key} = [")).expect("the key is there");
    rest.split_once("]\n").expect("the list has an end").0
}

/// `expression`, as Cargo.toml has it, can be met by `allowed` licences alone. Old manifests have
/// `/` for `OR`.
fn is_met(expression: &str, allowed: &[&str]) -> bool {
    let expression = Expression::parse_mode(expression, ParseMode::LAX)
        .unwrap_or_else(|error| panic!("{expression}: {error}"));
    expression.evaluate(|required| allowed.contains(&required.to_string().as_str()))
}

#[test]
fn expressions_of_licences_are_understood() {
    let allowed = ["MIT", "Apache-2.0"];
    for met in ["MIT", "MIT/Apache-2.0", "GPL-3.0-only OR MIT", "(MIT OR ISC) AND Apache-2.0"] {
        assert!(is_met(met, &allowed), "{met}");
    }
    for not in ["GPL-3.0-only", "MIT AND ISC", "Apache-2.0 WITH LLVM-exception"] {
        assert!(!is_met(not, &allowed), "{not}");
    }
}

#[test]
fn every_licence_is_allowed() {
    let deny = deny_toml();
    let allowed = quoted(list(&deny, "allow"));
    assert!(allowed.contains(&"MIT") && !allowed.iter().any(|l| l.contains("GPL")), "{allowed:?}");
    let mut unneeded: BTreeMap<&str, Vec<&str>> = list(&deny, "exceptions")
        .lines()
        .map(quoted)
        .filter_map(|texts| Some((*texts.first()?, texts[1..].to_vec())))
        .collect();
    let exceptions = unneeded.clone();
    let mut refused = BTreeSet::new();
    let targets = quoted(list(&deny, "targets"));
    assert!(targets.len() >= 2, "{targets:?}");
    for target in targets {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--locked", "--format-version", "1", "--filter-platform", target])
            .current_dir(repository())
            .output()
            .expect("cargo runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "cargo metadata for {target}: {said}");
        let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let array = |value: &Value| value.as_array().expect("an array").clone();
        let used: BTreeSet<String> =
            array(&metadata["resolve"]["nodes"]).iter().map(|n| n["id"].to_string()).collect();
        let packages = array(&metadata["packages"]);
        let packages: Vec<_> =
            packages.iter().filter(|p| used.contains(&p["id"].to_string())).collect();
        assert!(packages.len() > 100, "{} packages for {target}", packages.len());
        for package in packages {
            let name = package["name"].as_str().expect("a name");
            let licence = package["license"].as_str().unwrap_or("none told");
            let met = |allowed: &[&str]| licence != "none told" && is_met(licence, allowed);
            if met(&allowed) {
                continue;
            }
            unneeded.remove(name);
            let excepted = exceptions.get(name).cloned().unwrap_or_default();
            if !met(&[&allowed[..], &excepted[..]].concat()) {
                refused.insert(format!("{name}: {licence}"));
            }
        }
    }
    assert!(refused.is_empty(), "not allowed by deny.toml: {refused:#?}");
    assert!(unneeded.is_empty(), "exceptions that nothing needs: {unneeded:?}");
}

#[test]
fn nothing_banned_is_in_the_tree() {
    let deny = deny_toml();
    let banned: Vec<&str> = list(&deny, "deny")
        .lines()
        .filter_map(|l| l.trim().strip_prefix("{ crate = \""))
        .filter_map(|l| l.split('"').next())
        .collect();
    assert!(banned.contains(&"actix-governor") && banned.len() >= 7, "{banned:?}");
    let locked = locked();
    for name in banned {
        assert!(!locked.contains_key(name), "{name} is banned and in Cargo.lock");
    }
}

#[test]
fn pins_and_floors_hold() {
    let locked = locked();
    assert_eq!(locked["bincode"], ["2.0.1"], "see deny.toml");
    let at_least = |name: &str, floor: [u32; 3]| {
        for version in locked.get(name).into_iter().flatten() {
            let parts: Vec<u32> =
                version.split(['.', '-', '+']).filter_map(|p| p.parse().ok()).collect();
            assert!(parts.as_slice() >= floor.as_slice(), "{name} {version} is below {floor:?}");
        }
    };
    at_least("memmap2", [0, 9, 11]); // RUSTSEC-2026-0186
    at_least("crossbeam-epoch", [0, 9, 20]); // RUSTSEC-2026-0204
    assert!(
        !locked.contains_key("h2") || locked["h2"].iter().all(|v| !v.starts_with("0.3")),
        "RUSTSEC-2026-0258"
    );
    let lock = std::fs::read_to_string(repository().join("Cargo.lock")).expect("Cargo.lock");
    assert!(!lock.contains("git+"), "a dependency comes from a git repository");
}

/// No other crate of the tree may switch on bincode's `alloc`: features are united, and hostile
/// bytes would then allocate.
#[test]
fn bincode_is_built_without_alloc() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "-p", "tipring-engine", "-e", "features", "-i", "bincode"])
        .current_dir(repository())
        .output()
        .expect("cargo runs");
    let tree = String::from_utf8_lossy(&output.stdout);
    assert!(tree.contains("bincode v2.0.1"), "{tree}{}", String::from_utf8_lossy(&output.stderr));
    assert!(!tree.contains("feature \"alloc\"") && !tree.contains("feature \"std\""), "{tree}");
}
