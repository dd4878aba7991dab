//! docs/api.md and openapi.json tell the same, and every row of that page works or answers 501
//! naming what is missing.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use tipring_tests::rest::Rest;
use tipring_tests::socket::Socket;
use tipring_tests::system::{System, repository};

/// `METHOD /path` of every row of docs/api.md: the first cell of a table, in backticks.
fn rows() -> Vec<(String, String)> {
    let page = std::fs::read_to_string(repository().join("docs/api.md")).expect("docs/api.md");
    let mut rows = Vec::new();
    for line in page.lines().filter(|l| l.starts_with("| `")) {
        let cell = line.split('`').nth(1).expect("closed");
        if let Some((method, path)) = cell.split_once(' ')
            && path.starts_with('/')
        {
            rows.push((method.to_owned(), path.to_owned()));
        }
    }
    rows
}

fn documented(openapi: &Value) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for (path, item) in openapi["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("operations").keys() {
            if ["get", "post", "delete", "put", "patch"].contains(&method.as_str()) {
                found.insert((method.to_uppercase(), anonymous(path)));
            }
        }
    }
    found
}

/// `/v1/lines/{id}` for whatever the parameter is called.
fn anonymous(path: &str) -> String {
    let part = |p: &str| if p.starts_with('{') { "{}".to_owned() } else { p.to_owned() };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

#[test]
fn the_page_and_the_description_name_the_same_routes() {
    let system = System::demonstration();
    let openapi = system.rest().get("/openapi.json").expect_json(200);
    let described = documented(&openapi);
    let mut promised = BTreeSet::new();
    for (method, path) in rows() {
        let method = if method == "WS" { "GET".to_owned() } else { method };
        promised.insert((method, anonymous(&path)));
    }
    assert!(promised.len() > 40, "{promised:?}");
    let missing: Vec<_> = promised.difference(&described).collect();
    assert!(missing.is_empty(), "in docs/api.md and not in openapi.json: {missing:?}");
    let extra: Vec<_> = described.difference(&promised).collect();
    assert!(extra.is_empty(), "in openapi.json and not in docs/api.md: {extra:?}");
}

fn body_for(path: &str) -> Value {
    match path.rsplit('/').next().unwrap_or_default() {
        "play" => json!({"tone": {"frequency_hz": [440], "duration_ms": 100}}),
        "dtmf" | "dial" => json!({"digits": "1"}),
        "hook" => json!({"off": true}),
        "messages" => json!({"new": 1}),
        "message_waiting" => json!({"messages": 1}),
        "polarity" => json!({"reversed": true}),
        "script" => json!({"steps": [{"do": "wait", "ms": 1}]}),
        "calls" => json!({"from": "line:1", "to": "line:2"}),
        "diversion" => json!({"busy": "600"}),
        "members" | "listen" => json!({"line": "nothing"}),
        "bridge" => json!({"with": "nothing"}),
        "transfer" => json!({"to": "102"}),
        "tickets" => json!({"scopes": ["read"]}),
        "generate-tone" => json!({"frequency": 440, "duration": 100}),
        "generate-tts" => json!({"text": "hello"}),
        "speak" => json!({"say": "hello"}),
        _ => json!({}),
    }
}

#[test]
fn every_row_works_or_says_what_is_missing() {
    let system = System::demonstration();
    let rest: Rest = system.rest();
    let mut failures = Vec::new();
    for (method, path) in rows() {
        let real = path
            .replace("/sim/{id}", "/sim/1")
            .replace("/lines/{id}", "/lines/1")
            .replace("/applications/{number}", "/applications/700")
            .replace("{number}", "101");
        // What cannot be known before (a call, a playback, a stream, a recording) does not exist.
        let absent = real.contains('{');
        let real = real.split('/').map(|p| if p.starts_with('{') { "nothing" } else { p });
        let real = real.collect::<Vec<_>>().join("/");
        if method == "WS" {
            let opened = Socket::try_open(&system.address(), &real, None);
            let fits = match &opened {
                Ok(_) => !absent,
                Err(status) => absent && status == "404" || status == "501",
            };
            if !fits {
                failures.push(format!("WS {real}: {:?}", opened.err()));
            }
            continue;
        }
        if real.contains("/sim/") || real.ends_with("/play") || real.ends_with("/playbacks") {
            rest.hook("1", true);
        } else {
            rest.post_empty("/v1/lines/1/hangup");
            rest.hook("1", false);
        }
        let answer = match method.as_str() {
            "POST" => rest.post(&real, &body_for(&path)),
            "GET" => rest.get(&real),
            _ => rest.send(&method, &real, &[], &[]),
        };
        let fits = match answer.status {
            200..300 => !absent,
            404 => absent && answer.json()["type"] != "urn:tipring:problem:no-such-route",
            // A lawful request to a line in another state.
            400 | 409 => true,
            // It takes audio, and this is JSON.
            415 => path == "/play-audio",
            501 => answer.json()["detail"].as_str().is_some_and(|d| d.len() > 5),
            _ => false,
        };
        if !fits {
            failures.push(answer.to_string());
        }
        if answer.status == 501 {
            println!("not built: {method} {path}");
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn documentation_and_console_need_nothing_from_elsewhere() {
    let system = System::demonstration();
    let rest = system.rest();
    for path in ["/", "/docs/", "/openapi.json"] {
        let page = rest.get(path).expect(200);
        let text = String::from_utf8_lossy(&page.body).into_owned();
        for line in text.lines().filter(|l| l.contains("src=") || l.contains("<link")) {
            assert!(!line.contains("//"), "{path} loads from elsewhere: {line}");
        }
    }
    rest.get("/metrics").check(200);
    rest.get("/healthz").check(200);
}
