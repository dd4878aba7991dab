//! A client on another machine of the LAN uses REST, `/ws` and line audio with a token, and is
//! refused without. The other machine is a network namespace, so this needs root.

use serde_json::json;
use tipring_tests::namespace::Namespace;
use tipring_tests::rest::Rest;
use tipring_tests::socket::Socket;
use tipring_tests::system::{Setup, System};

const CONFIGURATION: &str = "sip:\n  accounts: []\n\
    lines:\n  - {id: \"1\", engine: sim/1, extension: \"101\"}\n  - {id: \"2\", engine: sim/2}\n";

#[test]
fn uses_everything_with_a_token_and_nothing_without() {
    if !Namespace::possible() {
        assert!(std::env::var_os("CI").is_none(), "needs root, and CI has it");
        println!("not run: making a network namespace needs root");
        return;
    }
    let machine = Namespace::new();
    let arguments = |text: &str| text.split_whitespace().map(str::to_owned).collect();
    let system = System::start(Setup {
        host: machine.here,
        apid_yaml: Some(CONFIGURATION.into()),
        tokens: vec![
            arguments("all --scope read --scope control --scope audio"),
            arguments("watcher --scope read --line 2"),
        ],
        ..Setup::default()
    });
    let (all, watcher) = (&system.tokens[0], &system.tokens[1]);
    let address = system.address();
    machine.run(|| {
        let nobody = Rest::new(&address, None);
        nobody.get("/v1/lines").expect_problem(401, "unauthorized");
        Rest::new(&address, Some("a-guess")).get("/v1/lines").expect_problem(401, "unauthorized");
        for path in ["/ws", "/v1/events", "/v1/lines/1/audio"] {
            assert_eq!(
                Socket::try_open(&address, path, None).err().as_deref(),
                Some("401"),
                "{path}"
            );
        }
        nobody.get("/status").check(401);
        nobody.get("/healthz").check(200);

        let rest = nobody.with_token(all);
        assert_eq!(
            rest.get("/v1/lines").expect_json(200)["lines"].as_array().map(Vec::len),
            Some(2)
        );
        let mut events = Socket::open(&address, "/ws", Some(all));
        rest.hook("1", true);
        events.expect_event("off_hook", "1");
        Socket::open(&address, "/v1/lines/1/audio?direction=tx", Some(all)).audio_of(200);
        rest.send("GET", "/v1/lines", &[("X-API-Key", "wrong")], &[]).check(200);
        let keyed = Rest::new(&address, None);
        keyed.send("GET", "/v1/lines", &[("X-API-Key", all)], &[]).check(200);

        // A browser's way: a ticket that opens one WebSocket once.
        let answer = rest.post("/v1/tickets", &json!({"scopes": ["read"]}));
        let ticket =
            answer.json()["ticket"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
        let path = format!("/v1/events?ticket={ticket}");
        assert!(Socket::try_open(&address, &path, None).is_ok());
        assert_eq!(Socket::try_open(&address, &path, None).err().as_deref(), Some("401"));
        let in_query = format!("/v1/events?token={all}");
        assert_eq!(Socket::try_open(&address, &in_query, None).err().as_deref(), Some("401"));

        // A token that may only look, and only at line 2.
        let rest = nobody.with_token(watcher);
        let lines = rest.get("/v1/lines").expect_json(200);
        assert_eq!(lines["lines"].as_array().map(Vec::len), Some(1), "{lines}");
        rest.get("/v1/lines/1").expect_problem(404, "no-such-line");
        rest.post_empty("/v1/lines/2/ring").expect_problem(403, "forbidden");
        assert_eq!(
            Socket::try_open(&address, "/v1/lines/2/audio", Some(watcher)).err().as_deref(),
            Some("403")
        );
    });
    let log = system.apid.as_ref().expect("it runs").log();
    assert!(!log.contains(all.as_str()) && !log.contains(watcher.as_str()), "a token was logged");
    let kept = std::fs::read_to_string(system.folder.file("state").join("tokens.json"));
    assert!(kept.is_ok_and(|k| !k.contains(all.as_str())), "a token is kept in clear");
}
