//! The console: one page that shows the lines and lets one try them. Embedded, and nothing in it
//! comes from elsewhere.

use actix_web::web::ServiceConfig;
use actix_web::{HttpResponse, get};

/// Nothing but our own files, sockets to ourselves, no frames around us.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                      connect-src 'self'; img-src 'self' data:; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

fn file(content_type: &str, text: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(content_type)
        .insert_header(("content-security-policy", POLICY))
        .insert_header(("referrer-policy", "no-referrer"))
        .insert_header(("cache-control", "no-cache"))
        .body(text)
}

/// The console.
#[get("/")]
async fn get_console() -> HttpResponse {
    file("text/html; charset=utf-8", include_str!("../../web/console.html"))
}

/// Its script.
#[get("/console.js")]
async fn get_console_script() -> HttpResponse {
    file("text/javascript; charset=utf-8", include_str!("../../web/console.js"))
}

/// Its looks.
#[get("/console.css")]
async fn get_console_style() -> HttpResponse {
    file("text/css; charset=utf-8", include_str!("../../web/console.css"))
}

/// The routes of this file.
pub(super) fn configure(config: &mut ServiceConfig) {
    config.service(get_console).service(get_console_script).service(get_console_style);
}
