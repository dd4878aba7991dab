//! The Python package `voip`, run by a Python without anything installed for it: by its own tests on
//! the telephone in the program.

use std::process::Command;
use tipring_tests::pjsua::python;
use tipring_tests::system::repository;

#[test]
fn the_package_passes_its_own_tests() {
    let ran = Command::new(python())
        .args(["-m", "unittest", "discover", "-s", "tests", "-t", "."])
        .current_dir(repository().join("callkit/python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("Python starts");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}\n{}", String::from_utf8_lossy(&ran.stdout));
    assert!(said.contains("\nRan ") && !said.contains("Ran 0 tests"), "{said}");
}
