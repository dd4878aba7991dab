//! Webhooks: signed, tried again, in order for each call; what cannot be delivered can be seen.

use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use tipring_tests::system::{Setup, System};
use tipring_tests::wait;

#[derive(Clone, Debug)]
struct Post {
    path: String,
    head: String,
    body: String,
    answered: u16,
}

impl Post {
    fn header(&self, name: &str) -> &str {
        let line = self.head.lines().find(|l| l.to_lowercase().starts_with(&format!("{name}:")));
        line.and_then(|line| line.split_once(": ")).map_or("", |(_, value)| value)
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

/// Refuses every third post to `/flaky` with 503, all to `/gone` with 410, takes the others.
fn server() -> (u16, Arc<Mutex<Vec<Post>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let posts = Arc::new(Mutex::new(Vec::new()));
    let theirs = posts.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            take(stream, &theirs);
        }
    });
    (port, posts)
}

fn take(mut stream: TcpStream, posts: &Mutex<Vec<Post>>) {
    let mut octets = Vec::new();
    let mut piece = [0; 4096];
    let (head, length) = loop {
        let read = stream.read(&mut piece).unwrap_or(0);
        octets.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&octets).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                line.to_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok()
            });
            if body.len() >= length.unwrap_or(0) {
                break (head.to_owned(), length.unwrap_or(0));
            }
        }
        if read == 0 {
            return;
        }
    };
    let text = String::from_utf8_lossy(&octets).into_owned();
    let body = text[head.len() + 4..head.len() + 4 + length].to_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut posts = posts.lock().expect("nobody panics with it");
    let before = posts.iter().filter(|post| post.path == path).count();
    let answered = match path.as_str() {
        "/flaky" if before % 3 == 0 => 503,
        "/gone" => 410,
        _ => 204,
    };
    posts.push(Post { path, head, body, answered });
    drop(posts);
    let answer = format!("HTTP/1.1 {answered} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let _ = stream.write_all(answer.as_bytes());
}

/// HMAC-SHA-256 by Python.
fn by_python(secret: &str, text: &str) -> String {
    let program = "import hmac, sys\nprint(hmac.new(sys.argv[1].encode(), sys.argv[2].encode(), 'sha256').hexdigest())";
    let output = Command::new("python3").args(["-c", program, secret, text]).output();
    String::from_utf8(output.expect("python3 runs").stdout).expect("text").trim().to_owned()
}

#[test]
fn what_happens_is_posted_signed_in_order_and_again() {
    let (port, posts) = server();
    let yaml = format!(
        "lines:\n  - {{id: \"1\", engine: sim/1, extension: \"101\"}}\n  \
         - {{id: \"2\", engine: sim/2, extension: \"102\"}}\n\
         fetch: {{private: [127.0.0.1/32]}}\nwebhooks:\n  \
         - {{url: \"http://127.0.0.1:{port}/flaky\", secret: quite-a-secret, types: [\"call_*\"], \
         bearer: bearer-token}}\n  \
         - {{url: \"http://127.0.0.1:{port}/gone\", secret: quite-a-secret, types: [off_hook]}}\n  \
         - {{url: \"http://127.0.0.1:{port}/second\", secret: quite-a-secret, lines: [\"2\"], \
         types: [off_hook, on_hook]}}\n  \
         - {{url: \"http://127.0.0.1:{port}/older\", secret: quite-a-secret, format: phone_api, \
         lines: [\"1\"]}}\n"
    );
    let system = System::start(Setup { apid_yaml: Some(yaml), ..Setup::default() });
    let rest = system.rest();
    rest.hook("1", true);
    rest.post("/v1/sim/1/dial", &json!({"digits": "102"})).check(202);
    rest.line_becomes("2", "ringing");
    rest.hook("2", true);
    wait::until_true("they talk", wait::GENEROUS, || {
        rest.calls_become(1)[0]["state"] == "connected"
    });
    rest.post("/v1/sim/1/dial", &json!({"digits": "5"})).check(202);
    wait::until_true("the digit", wait::GENEROUS, || {
        rest.get("/v1/lines/1").expect_json(200)["last_digit"] == "5"
    });
    rest.hook("1", false);
    rest.hook("2", false);

    let taken = |path: &str| -> Vec<Post> {
        let posts = posts.lock().expect("nobody panics with it");
        posts.iter().filter(|p| p.path == path && p.answered == 204).cloned().collect()
    };
    let kinds = |path: &str| -> Vec<String> {
        let kind = |post: &Post| post.json()["type"].as_str().expect("a type").to_owned();
        taken(path).iter().map(kind).collect()
    };
    let story = ["call_started", "call_ringing", "call_connected", "call_ended"];
    wait::until_true("the whole call", wait::GENEROUS, || kinds("/flaky").len() == story.len());
    assert_eq!(kinds("/flaky"), story);
    let refused = posts.lock().expect("it").iter().filter(|p| p.answered == 503).count();
    assert!(refused >= 1, "the first attempt was refused");
    for post in taken("/flaky") {
        assert_eq!(post.header("authorization"), "Bearer bearer-token");
        let signature = post.header("tipring-signature").to_owned();
        let (at, told) = signature.split_once(",v1=").expect("both parts");
        let at = at.strip_prefix("t=").expect("its time");
        let signed = format!("{at}.{}", post.body);
        assert_eq!(by_python("quite-a-secret", &signed), told);
        assert!(!post.header("tipring-delivery").is_empty());
    }
    // At the beginning its handset may be told to be down.
    let since_lifted = || kinds("/second").into_iter().skip_while(|kind| kind == "on_hook");
    wait::until_true("line 2 alone", wait::GENEROUS, || since_lifted().count() == 2);
    assert!(since_lifted().eq(["off_hook", "on_hook"]));
    assert!(taken("/second").iter().all(|post| post.json()["line"] == "2"));

    // An older phone API's words, of line 1 alone.
    let told = || -> Vec<String> {
        let word = |post: &Post| {
            let told = post.json();
            assert_eq!(told["line"], "1");
            told["new_state"].as_str().map_or_else(
                || format!("{}{}", told["digit"].as_str().expect("a digit"), told["sequence"]),
                str::to_owned,
            )
        };
        taken("/older").iter().map(word).collect()
    };
    wait::until_true("the end", wait::GENEROUS, || {
        told().len() > 1 && told().ends_with(&["on_hook".to_owned()])
    });
    let story = ["off_hook", "11", "02", "23", "connecting", "active", "51", "ended", "on_hook"];
    assert_eq!(told(), story);

    let shown = wait::until("both dead letters", wait::GENEROUS, || {
        let shown = rest.get("/v1/webhooks").expect_json(200);
        let dead = shown["webhooks"][1]["dead_letters"].as_array().map(Vec::len);
        (dead == Some(2) && shown["webhooks"][0]["delivered"] == 4).then_some(shown)
    });
    let dead = &shown["webhooks"][1]["dead_letters"];
    assert_eq!((&dead[0]["event"]["type"], &dead[0]["attempts"]), (&json!("off_hook"), &json!(1)));
    assert!(dead[0]["reason"].as_str().is_some_and(|reason| reason.contains("410")), "{shown}");
    assert!(!shown.to_string().contains("quite-a-secret"));
}
