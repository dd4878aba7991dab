//! schemathesis reads our own openapi.json and finds no crash, no 5xx and no undocumented answer.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tipring_tests::rest::Rest;
use tipring_tests::system::{Setup, System, repository};

#[test]
fn finds_no_crash_no_5xx_and_nothing_undocumented() {
    let program = std::env::var_os("TIPRING_SCHEMATHESIS")
        .map_or_else(|| repository().join("target/venv/bin/schemathesis"), PathBuf::from);
    assert!(program.exists(), "{} is missing; tools/test setup installs it", program.display());
    let mut system = System::start(Setup {
        apid_yaml: Some(
            "api: {rate_limit_per_minute: 0}\n\
             lines:\n  - {id: \"1\", engine: sim/1, extension: \"101\"}\n  \
             - {id: \"2\", engine: sim/2, extension: \"102\"}\n\
             numbers: {echo: \"600\", dial_tone: \"100\"}\n"
                .into(),
        ),
        ..Setup::default()
    });
    // A lifted line and a silent one: both kinds of answers are met.
    system.rest().hook("1", true);
    let finger = Finger::on(system.rest());
    let examples = if tipring_tests::soak() { "200" } else { "25" };
    // 501 is the documented answer of what is promised and not built.
    let expected =
        "[checks]\nnot_a_server_error.expected-statuses = [\"2xx\", \"3xx\", \"4xx\", 501]\n";
    std::fs::write(system.folder.file("schemathesis.toml"), expected).expect("written");
    let output = Command::new(program)
        .arg("run")
        .arg(format!("http://{}/openapi.json", system.address()))
        .args(["--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"])
        .args(["--max-examples", examples, "--seed", "1", "--workers", "1"])
        // A question that no key answers ends by its own timeout, 10 s unless asked otherwise.
        .args(["--request-timeout", "60", "--generation-database", "none", "--no-color"])
        .current_dir(system.folder.path())
        .output()
        .expect("schemathesis runs");
    drop(finger);
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    for process in [&mut system.engine, &mut system.apid].into_iter().flatten() {
        assert!(process.runs(), "a process ended:\n{}", process.log());
        assert!(!process.log().contains("panicked"), "a thread panicked:\n{}", process.log());
    }
    system.rest().get("/readyz").check(200);
}

/// Somebody at telephone 1 who keeps pressing `1` and `#`, so that collected digits come to an end.
struct Finger {
    tired: Arc<AtomicBool>,
    hand: Option<JoinHandle<()>>,
}

impl Finger {
    fn on(telephone: Rest) -> Self {
        let tired = Arc::new(AtomicBool::new(false));
        let seen = tired.clone();
        let hand = std::thread::spawn(move || {
            let keys = serde_json::json!({"digits": "1#"});
            while !seen.load(Ordering::Relaxed) {
                // Refused while the telephone happens to be put down.
                let _ = telephone.post("/v1/sim/1/dial", &keys);
                std::thread::sleep(Duration::from_millis(500));
            }
        });
        Self { tired, hand: Some(hand) }
    }
}

impl Drop for Finger {
    fn drop(&mut self) {
        self.tired.store(true, Ordering::Relaxed);
        if let Some(hand) = self.hand.take() {
            let _ = hand.join();
        }
    }
}
