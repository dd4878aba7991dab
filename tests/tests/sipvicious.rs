//! Tools that look for telephones and their passwords (sipvicious: svmap, svwar, svcrack) learn
//! nothing here, and are banned; as they are, and under another name.

use std::process::Command;
use tipring_tests::pjsua::python;
use tipring_tests::system::{Setup, System};
use tipring_tests::wait::{GENEROUS, until};

const CONFIG: &str = "sip:\n  accounts:\n    - {user: \"1000\", password: \"3000\", algorithms: [md5]}\n  \
    defence: {requests_per_s: 1000, burst: 1000}\n\
    numbers: {echo: \"600\", dial_tone: \"100\"}\n";

fn system() -> System {
    System::start(Setup { apid_yaml: Some(CONFIG.into()), ..Setup::default() })
}

/// Runs one of the tools in the system's folder; `name` is what it calls itself.
fn run(system: &System, tool: &str, name: &str, arguments: &[&str]) -> String {
    let code = format!(
        "import sys\nimport sipvicious.libs.svhelper as h\n\
         defaults = list(h.makeRequest.__defaults__)\n\
         defaults[defaults.index('friendly-scanner')] = '{name}'\n\
         h.makeRequest.__defaults__ = tuple(defaults)\n\
         import sipvicious.{tool} as tool\n\
         tool.makeRequest.__defaults__ = tuple(defaults)\n\
         sys.argv = ['{tool}'] + sys.argv[1:]\ntool.main()\n"
    );
    let port = system.ports.sip.to_string();
    let output = Command::new("timeout")
        .arg("60")
        .arg(python())
        .args(["-c", &code, "-p", &port])
        .args(arguments)
        .env("HOME", system.folder.path())
        .current_dir(system.folder.path())
        .output()
        .expect("it runs");
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text += &String::from_utf8_lossy(&output.stderr);
    println!("── {tool} as {name}\n{text}");
    text
}

/// Waits for the only ban, and lifts it.
fn banned_for(system: &System, reason: &str) {
    let rest = system.rest();
    let bans = until("a ban", GENEROUS, || {
        let bans = rest.get("/v1/sip/bans").expect_json(200);
        (bans.as_array().map(Vec::len) == Some(1)).then_some(bans)
    });
    assert_eq!((&bans[0]["address"], &bans[0]["reason"]), (&"127.0.0.1".into(), &reason.into()));
    rest.delete("/v1/sip/bans/127.0.0.1").check(204);
    rest.delete("/v1/sip/bans/127.0.0.1").expect_problem(404, "no-such-ban");
}

#[test]
fn under_its_own_name_it_gets_no_answer() {
    let system = system();
    let own = "friendly-scanner";
    let map = run(&system, "svmap", own, &["127.0.0.1"]);
    assert!(map.contains("found nothing") || !map.contains("SIP Device"), "{map}");
    banned_for(&system, "scanner");
    let war = run(&system, "svwar", own, &["-e990-1010", "-m", "REGISTER", "127.0.0.1"]);
    assert!(!war.contains("reqauth") && !war.contains("| 1000"), "{war}");
    banned_for(&system, "scanner");
    let crack = run(&system, "svcrack", own, &["-u", "1000", "-r2990-3010", "127.0.0.1"]);
    assert!(!crack.contains("3000"), "{crack}");
    banned_for(&system, "scanner");
    let turned = &system.rest().get("/v1/diagnostics").expect_json(200)["sip"]["turned_away"];
    assert!(turned["scanner"].as_u64() >= Some(3), "{turned}");
}

#[test]
fn under_another_name_it_learns_nothing_and_its_guesses_ban_it() {
    let system = system();
    let other = "Telephone 1.0";
    let map = run(&system, "svmap", other, &["127.0.0.1"]);
    assert!(!map.contains("tipring"), "{map}");
    let war = run(&system, "svwar", other, &["-e990-1010", "-m", "REGISTER", "127.0.0.1"]);
    assert!(!war.contains("| 1000"), "{war}");
    // The right password is the twenty-first guess.
    let crack = run(&system, "svcrack", other, &["-u", "1000", "-r2980-3010", "127.0.0.1"]);
    assert!(!crack.contains("3000"), "{crack}");
    banned_for(&system, "wrong_passwords");
}
