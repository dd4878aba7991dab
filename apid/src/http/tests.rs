//! The interface as a whole: what is promised, and what every route does before control is asked.

use super::openapi;
use super::routes::RouteTable;
use actix_web::App;
use serde_json::Value;
use utoipa_actix_web::AppExt as _;

fn described() -> utoipa::openapi::OpenApi {
    let (_, mut api) = App::new()
        .into_utoipa_app()
        .openapi(openapi::base())
        .configure(openapi::routes)
        .split_for_parts();
    openapi::complete(&mut api);
    api
}

/// Every row of the interface document, and of the compatibility routes.
const PROMISED: &[(&str, &str)] = &[
    ("get", "/v1/lines"),
    ("get", "/v1/lines/{id}"),
    ("post", "/v1/lines/{id}/ring"),
    ("delete", "/v1/lines/{id}/ring"),
    ("post", "/v1/lines/{id}/play"),
    ("delete", "/v1/lines/{id}/playbacks/{pid}"),
    ("delete", "/v1/lines/{id}/playbacks"),
    ("post", "/v1/lines/{id}/dtmf"),
    ("post", "/v1/lines/{id}/recordings"),
    ("delete", "/v1/recordings/{rid}"),
    ("get", "/v1/recordings/{rid}/audio"),
    ("post", "/v1/lines/{id}/answer"),
    ("post", "/v1/lines/{id}/hangup"),
    ("post", "/v1/lines/{id}/hold"),
    ("post", "/v1/lines/{id}/flash"),
    ("get", "/v1/lines/{id}/voltage"),
    ("get", "/v1/lines/{id}/diagnostics"),
    ("get", "/v1/calls"),
    ("get", "/v1/calls/{id}"),
    ("post", "/v1/calls"),
    ("delete", "/v1/calls/{id}"),
    ("post", "/v1/calls/{id}/bridge"),
    ("post", "/v1/calls/{id}/transfer"),
    ("post", "/v1/calls/{id}/hold"),
    ("post", "/v1/calls/{id}/record"),
    ("post", "/v1/extensions/{number}/dtmf"),
    ("post", "/v1/tickets"),
    ("get", "/v1/events"),
    ("get", "/ws"),
    ("post", "/audio/start"),
    ("post", "/audio/stop"),
    ("get", "/v1/streams/{id}"),
    ("get", "/v1/lines/{id}/audio"),
    ("post", "/v1/sim/{id}/hook"),
    ("post", "/v1/sim/{id}/dial"),
    ("post", "/v1/sim/{id}/flash"),
    ("post", "/v1/sim/{id}/speak"),
    ("post", "/v1/sim/{id}/script"),
    ("get", "/v1/sim/{id}/audio"),
    ("get", "/v1/diagnostics"),
    ("get", "/healthz"),
    ("get", "/readyz"),
    ("get", "/metrics"),
    ("get", "/"),
    ("get", "/status"),
    ("get", "/voltage"),
    ("get", "/diagnostics"),
    ("post", "/ring"),
    ("post", "/stop-ring"),
    ("post", "/play-audio"),
    ("post", "/generate-tone"),
    ("post", "/generate-tts"),
    ("post", "/reset"),
];

#[test]
fn every_promised_row_is_described() {
    let api = serde_json::to_value(described()).unwrap();
    for (method, path) in PROMISED {
        let operation = &api["paths"][*path][*method];
        assert!(operation.is_object(), "{method} {path} is not in openapi.json");
        let statuses = operation["responses"].as_object().unwrap();
        let works = statuses.keys().any(|status| status.starts_with('2') || status == "101");
        assert!(works || statuses.contains_key("501"), "{method} {path} promises nothing");
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn walk(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    match value {
                        Value::String(target) if key == "$ref" => found.push(target.clone()),
                        value => walk(value, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
            _ => {}
        }
    }
    let api = serde_json::to_value(described()).unwrap();
    let mut found = Vec::new();
    walk(&api, &mut found);
    assert!(found.len() > 50);
    for target in found {
        let pointer = target.strip_prefix('#').unwrap();
        assert!(api.pointer(pointer).is_some(), "{target} is referred to and missing");
    }
}

#[test]
fn operation_ids_are_unique() {
    let api = described();
    let mut ids: Vec<String> = api
        .paths
        .paths
        .values()
        .flat_map(|item| [&item.get, &item.post, &item.delete])
        .flatten()
        .filter_map(|operation| operation.operation_id.clone())
        .collect();
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all);
    let _ = RouteTable::of(&api);
}
