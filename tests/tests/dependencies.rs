//! The bans and pins of deny.toml, checked against Cargo.lock without cargo-deny.

use std::collections::BTreeMap;
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

#[test]
fn nothing_banned_is_in_the_tree() {
    let deny = std::fs::read_to_string(repository().join("deny.toml")).expect("deny.toml");
    let banned: Vec<&str> = deny
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
    let output = std::process::Command::new(env!("CARGO"))
        .args(["tree", "--offline", "-p", "tipring-engine", "-e", "features", "-i", "bincode"])
        .current_dir(repository())
        .output()
        .expect("cargo runs");
    let tree = String::from_utf8_lossy(&output.stdout);
    assert!(tree.contains("bincode v2.0.1"), "{tree}{}", String::from_utf8_lossy(&output.stderr));
    assert!(!tree.contains("feature \"alloc\"") && !tree.contains("feature \"std\""), "{tree}");
}
