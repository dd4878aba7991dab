//! A client of the REST interface.

use serde_json::Value;
use std::time::Duration;
use ureq::Agent;

/// Between two questions; the API's default rate limit is 100 a second.
const POLL: Duration = Duration::from_millis(30);

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Content type, or nothing.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
    request: String,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e} in {self}"))
    }

    /// Itself, if the status is `status`.
    ///
    /// # Panics
    /// If it is another.
    #[must_use = "use check where only the status matters"]
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert!(self.status == status, "wanted {status}, got {self}");
        self
    }

    /// Like [`Self::expect`], where only the status matters.
    #[track_caller]
    pub fn check(self, status: u16) {
        let _ = self.expect(status);
    }

    /// JSON of an answer with this status.
    #[track_caller]
    pub fn expect_json(self, status: u16) -> Value {
        self.expect(status).json()
    }

    /// A problem (RFC 9457) with this status whose type ends in `kind`.
    ///
    /// # Panics
    /// If it is something else.
    #[track_caller]
    pub fn expect_problem(self, status: u16, kind: &str) -> Value {
        let problem = self.clone().expect(status).json();
        assert!(self.content_type.starts_with("application/problem+json"), "{self}");
        let name = problem["type"].as_str().unwrap_or_default();
        assert!(name.ends_with(kind), "wanted a problem of type {kind}, got {self}");
        problem
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = String::from_utf8_lossy(&self.body);
        let body: String = body.chars().take(1000).collect();
        write!(f, "{}: {} {} {body}", self.request, self.status, self.content_type)
    }
}

/// One client, with or without a token.
#[derive(Clone, Debug)]
pub struct Rest {
    agent: Agent,
    base: String,
    token: Option<String>,
}

impl Rest {
    /// A client of `http://{address}`.
    pub fn new(address: &str, token: Option<&str>) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build()
            .into();
        Self { agent, base: format!("http://{address}"), token: token.map(Into::into) }
    }

    /// The same client with another token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.into()), ..self.clone() }
    }

    /// Any request. `Err` where nobody answers.
    ///
    /// # Errors
    /// As the client library says.
    pub fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, ureq::Error> {
        let mut request =
            ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body).map_err(ureq::Error::Http)?;
        let request =
            self.agent.configure_request(request).allow_non_standard_methods(true).build();
        let mut response = self.agent.run(request)?;
        let content_type = response
            .headers()
            .get("content-type")
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        Ok(Answer {
            status: response.status().as_u16(),
            content_type,
            body: response.body_mut().with_config().limit(64 << 20).read_to_vec()?,
            request: format!("{method} {path}"),
        })
    }

    /// Any request.
    ///
    /// # Panics
    /// Where nobody answers.
    #[track_caller]
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.try_send(method, path, headers, body)
            .unwrap_or_else(|e| panic!("{method} {}{path}: {e}", self.base))
    }

    /// GET.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], &[])
    }

    /// GET that may find nobody.
    pub fn try_get(&self, path: &str) -> Option<Answer> {
        self.try_send("GET", path, &[], &[]).ok()
    }

    /// POST of JSON.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        let headers = [("Content-Type", "application/json")];
        self.send("POST", path, &headers, body.to_string().as_bytes())
    }

    /// POST without a body.
    #[track_caller]
    pub fn post_empty(&self, path: &str) -> Answer {
        self.send("POST", path, &[], &[])
    }

    /// POST of a body of some type.
    #[track_caller]
    pub fn post_body(&self, path: &str, content_type: &str, body: &[u8]) -> Answer {
        self.send("POST", path, &[("Content-Type", content_type)], body)
    }

    /// DELETE.
    #[track_caller]
    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], &[])
    }

    /// The line as GET shows it.
    #[track_caller]
    pub fn line(&self, id: &str) -> Value {
        self.get(&format!("/v1/lines/{id}")).expect_json(200)
    }

    /// Waits until the line is in `state` and returns it.
    #[track_caller]
    pub fn line_becomes(&self, id: &str, state: &str) -> Value {
        let mut last = Value::Null;
        let begin = std::time::Instant::now();
        while begin.elapsed() < crate::wait::GENEROUS {
            last = self.line(id);
            if last["state"] == state {
                return last;
            }
            std::thread::sleep(POLL);
        }
        panic!("line {id} did not become {state}: {last}");
    }

    /// Waits until the line shows this hook position, known from that source.
    #[track_caller]
    pub fn hook_becomes(&self, id: &str, hook: &str, source: &str) {
        let mut last = Value::Null;
        let begin = std::time::Instant::now();
        while begin.elapsed() < crate::wait::GENEROUS {
            last = self.line(id);
            if last["hook"] == hook && last["hook_source"] == source {
                return;
            }
            std::thread::sleep(POLL);
        }
        panic!("hook of {id} did not become {hook} from {source}: {last}");
    }

    /// The user of a simulated phone lifts its handset or puts it down.
    #[track_caller]
    pub fn hook(&self, line: &str, off: bool) {
        let body = serde_json::json!({ "off": off });
        let answer = self.post(&format!("/v1/sim/{line}/hook"), &body);
        assert!(answer.status < 300, "{answer}");
        self.line_becomes(line, if off { "off_hook" } else { "on_hook" });
    }

    /// Steps of a simulated phone's script.
    #[track_caller]
    pub fn script(&self, line: &str, steps: &Value) {
        let body = serde_json::json!({ "steps": steps });
        let answer = self.post(&format!("/v1/sim/{line}/script"), &body);
        assert!(answer.status < 300, "{answer}");
    }

    /// Waits until there are so many calls that are not over, and returns them.
    ///
    /// # Panics
    /// If that does not come to pass within a minute.
    #[track_caller]
    pub fn calls_become(&self, count: usize) -> Vec<Value> {
        let mut last = Vec::new();
        let begin = std::time::Instant::now();
        while begin.elapsed() < crate::wait::GENEROUS {
            let all = self.get("/v1/calls").expect_json(200);
            last = all["calls"].as_array().cloned().unwrap_or_default();
            last.retain(|call| call["state"] != "ended");
            if last.len() == count {
                return last;
            }
            std::thread::sleep(POLL);
        }
        panic!("there are not {count} calls but: {last:#?}");
    }

    /// Sum of one counter over `/v1/diagnostics`' frame loops, whatever it is nested in.
    #[track_caller]
    pub fn counter(&self, name: &str) -> u64 {
        fn sum(value: &Value, name: &str) -> u64 {
            match value {
                Value::Object(map) => map
                    .iter()
                    .map(|(k, v)| if k == name { v.as_u64().unwrap_or(0) } else { sum(v, name) })
                    .sum(),
                Value::Array(list) => list.iter().map(|v| sum(v, name)).sum(),
                _ => 0,
            }
        }
        sum(&self.get("/v1/diagnostics").expect_json(200), name)
    }
}
