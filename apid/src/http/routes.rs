//! What kind of route a path is, and which methods it knows.

use super::State;
use super::problem::{Kind, Problem};
use actix_web::http::header;
use actix_web::{HttpRequest, web};

/// Paths of the two older phone APIs. They refuse in their own form.
pub(super) const COMPATIBILITY: [&str; 11] = [
    "/status",
    "/voltage",
    "/diagnostics",
    "/ring",
    "/stop-ring",
    "/play-audio",
    "/generate-tone",
    "/generate-tts",
    "/reset",
    "/system/info",
    "/ws",
];

/// What kind of route a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// Asked by machines that watch over us: never limited, never refused.
    Health,
    /// Console and documentation: the same for everybody.
    Page,
    /// Of the two older phone APIs.
    Compatibility,
    /// What adapters fetch: they prove themselves to the window that is open for them.
    Device,
    /// Everything else needs a caller.
    Api,
}

/// What kind of route `path` is.
pub(super) fn kind_of(path: &str) -> Route {
    match path {
        "/health" | "/healthz" | "/readyz" => Route::Health,
        "/" | "/console.js" | "/console.css" | "/openapi.json" => Route::Page,
        path if path == "/docs" || path.starts_with("/docs/") => Route::Page,
        path if COMPATIBILITY.contains(&path) || path.starts_with("/audio/") => {
            Route::Compatibility
        }
        path if path.starts_with("/cfg") || path.starts_with("/provisioning/") => Route::Device,
        _ => Route::Api,
    }
}

/// Every path of the interface with the methods it knows.
#[derive(Clone, Debug, Default)]
pub(super) struct RouteTable(Vec<(String, Vec<&'static str>)>);

impl RouteTable {
    /// From the description of the interface.
    pub(super) fn of(api: &utoipa::openapi::OpenApi) -> Self {
        let methods = |item: &utoipa::openapi::PathItem| {
            let known = [
                ("GET", item.get.is_some()),
                ("HEAD", item.get.is_some()),
                ("POST", item.post.is_some()),
                ("PATCH", item.patch.is_some()),
                ("DELETE", item.delete.is_some()),
            ];
            known.into_iter().filter(|(_, is)| *is).map(|(method, _)| method).collect()
        };
        Self(api.paths.paths.iter().map(|(path, item)| (path.clone(), methods(item))).collect())
    }

    /// The methods of the first template that fits `path`.
    fn methods_of(&self, path: &str) -> Option<&[&'static str]> {
        let fits = |template: &str| {
            let mut parts = path.split('/');
            let all = template.split('/').all(|expected| {
                parts.next().is_some_and(|part| {
                    part == expected || (expected.starts_with('{') && !part.is_empty())
                })
            });
            all && parts.next().is_none()
        };
        self.0.iter().find(|(template, _)| fits(template)).map(|(_, methods)| &methods[..])
    }
}

/// Pages that are no part of the described interface.
const PAGES: [&str; 4] = ["/", "/console.js", "/console.css", "/docs"];

/// Whatever no handler took: a known path with another method is 405, else 404.
///
/// # Errors
/// Always.
pub(super) async fn nothing_here(
    request: HttpRequest,
    table: web::Data<RouteTable>,
    _state: web::Data<State>,
) -> Result<&'static str, Problem> {
    let page = PAGES.contains(&request.path()) || request.path().starts_with("/docs/");
    let methods = if page { Some(&["GET", "HEAD"][..]) } else { table.methods_of(request.path()) };
    Err(match methods {
        Some(methods) => Problem::new(
            Kind::MethodNotAllowed,
            format!("{} knows {}", request.path(), methods.join(", ")),
        )
        .header(header::ALLOW, methods.join(", ")),
        None => Problem::new(
            Kind::NoSuchRoute,
            format!("there is no {}; /docs lists what there is", request.path()),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_fit_whole_paths_only() {
        let table = RouteTable(vec![
            ("/v1/lines".to_owned(), vec!["GET"]),
            ("/v1/lines/{id}/ring".to_owned(), vec!["POST", "DELETE"]),
        ]);
        assert_eq!(table.methods_of("/v1/lines"), Some(&["GET"][..]));
        assert_eq!(table.methods_of("/v1/lines/7/ring"), Some(&["POST", "DELETE"][..]));
        assert_eq!(table.methods_of("/v1/lines/7/ring/x"), None);
        assert_eq!(table.methods_of("/v1/lines/7"), None);
        assert_eq!(table.methods_of("/v1/lines//ring"), None);
    }

    #[test]
    fn pages_and_health_need_no_caller() {
        assert_eq!(kind_of("/healthz"), Route::Health);
        assert_eq!(kind_of("/health"), Route::Health);
        assert_eq!(kind_of("/docs/index.html"), Route::Page);
        assert_eq!(kind_of("/documents"), Route::Api);
        assert_eq!(kind_of("/audio/start"), Route::Compatibility);
        assert_eq!(kind_of("/v1/lines"), Route::Api);
        assert_eq!(kind_of("/metrics"), Route::Api);
    }
}
