//! Binds the ports and serves until told to stop.

use super::routes::{RouteTable, nothing_here};
use super::settings::HttpSettings;
use super::system::Description;
use super::{State, access, console, openapi, provisioning};
use crate::control::Control;
use crate::view::PortDiagnostics;
use actix_web::body::MessageBody;
use actix_web::dev::{Server, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data};
use actix_web::{App, Error, HttpServer};
use futures_util::future::OptionFuture;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use utoipa_actix_web::AppExt as _;
use utoipa_swagger_ui::{Config, SwaggerUi};

/// A running request may take so long to end after a stop.
const SHUTDOWN_S: u64 = 2;

/// A port could not be had.
#[derive(Debug)]
pub struct BindError {
    /// What it was to be for.
    pub service: &'static str,
    /// Which.
    pub address: SocketAddr,
    /// Why not.
    pub reason: std::io::Error,
}

impl std::fmt::Display for BindError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} cannot listen on {}: {}", self.service, self.address, self.reason)
    }
}

impl std::error::Error for BindError {}

/// Ports that are bound and not served yet.
#[derive(Debug)]
pub struct Bound {
    settings: HttpSettings,
    rest: Vec<TcpListener>,
    sockets: Vec<TcpListener>,
}

/// Binds every port of `settings`, so that one in use is known before anything starts.
///
/// # Errors
/// The first that could not be had.
pub fn bind(settings: HttpSettings) -> Result<Bound, BindError> {
    let all = |service, addresses: &[SocketAddr]| {
        addresses.iter().map(|address| listen(service, *address)).collect::<Result<Vec<_>, _>>()
    };
    let rest = all("HTTP", &settings.listen)?;
    let sockets = all("WebSocket", &settings.websocket_listen)?;
    Ok(Bound { settings, rest, sockets })
}

fn listen(service: &'static str, address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).map_err(|reason| BindError { service, address, reason })
}

impl Bound {
    /// The ports as they are: a configured port 0 has become a real one.
    pub fn ports(&self) -> Vec<PortDiagnostics> {
        let port = |service: &str, listener: &TcpListener| {
            let address = listener.local_addr().ok()?;
            Some(PortDiagnostics::new(service, address, self.settings.tls.is_some()))
        };
        let rest = self.rest.iter().filter_map(|listener| port("http", listener));
        rest.chain(self.sockets.iter().filter_map(|listener| port("websocket", listener))).collect()
    }

    /// Serves until `shutdown` ends; WebSockets are closed with a reason, requests get 2 s.
    ///
    /// # Errors
    /// What the operating system says of the listeners.
    pub async fn serve(
        self,
        control: Control,
        shutdown: impl Future<Output = ()>,
    ) -> std::io::Result<()> {
        let state = Data::new(State::new(control, self.settings));
        let settings = &state.settings;
        let (workers, connections) = (settings.workers.max(1), settings.connections_max);
        let per_worker = connections.div_ceil(workers).max(1);

        let shared = state.clone();
        let rest =
            listening(self.rest, workers, per_worker, settings, move || app(shared.clone()))?;
        let shared = state.clone();
        // A server without a port panics.
        let sockets = (!self.sockets.is_empty()).then(|| {
            listening(self.sockets, 1, connections, settings, move || socket_app(shared.clone()))
        });
        let sockets = sockets.transpose()?;
        let handles = [Some(rest.handle()), sockets.as_ref().map(Server::handle)];
        let stop = async {
            shutdown.await;
            state.stopping.cancel();
            for handle in handles.into_iter().flatten() {
                handle.stop(true).await;
            }
        };
        let (rest, sockets, ()) = tokio::join!(rest, OptionFuture::from(sockets), stop);
        rest.and(sockets.unwrap_or(Ok(())))
    }
}

/// A server on bound ports; it runs when it is awaited.
fn listening<T, B>(
    listeners: Vec<TcpListener>,
    workers: usize,
    connections_per_worker: usize,
    settings: &HttpSettings,
    app: impl Fn() -> App<T> + Send + Clone + 'static,
) -> std::io::Result<Server>
where
    T: ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<B>,
            Error = Error,
            InitError = (),
        > + 'static,
    B: MessageBody + 'static,
{
    let server = HttpServer::new(app)
        .workers(workers)
        .max_connections(connections_per_worker)
        .client_request_timeout(settings.head_timeout)
        .client_disconnect_timeout(Duration::from_secs(1))
        .keep_alive(settings.keep_alive)
        .shutdown_timeout(SHUTDOWN_S)
        .disable_signals();
    let mut listeners = listeners.into_iter();
    let listening = match &settings.tls {
        None => listeners.try_fold(server, HttpServer::listen),
        Some(certificate) => listeners.try_fold(server, |server, listener| {
            server.listen_rustls_0_23(listener, certificate.server())
        }),
    };
    listening.map(HttpServer::run)
}

/// Everything.
pub(super) fn app(
    state: Data<State>,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    let (app, mut api) = App::new()
        .into_utoipa_app()
        .openapi(openapi::base())
        .configure(openapi::routes)
        .split_for_parts();
    openapi::complete(&mut api);
    app.app_data(Data::new(RouteTable::of(&api)))
        .app_data(state)
        .app_data(path_settings())
        .app_data(query_settings())
        .app_data(Data::new(Description::of(&api)))
        .configure(console::configure)
        .configure(provisioning::files)
        .service(web::redirect("/docs", "/docs/"))
        .service(SwaggerUi::new("/docs/{_:.*}").config(Config::from("/openapi.json")))
        .default_service(web::to(nothing_here))
        .wrap(from_fn(access::gate))
}

/// WebSockets only.
pub(super) fn socket_app(
    state: Data<State>,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    let (app, api) = App::new().into_utoipa_app().configure(openapi::sockets).split_for_parts();
    app.app_data(Data::new(RouteTable::of(&api)))
        .app_data(state)
        .app_data(path_settings())
        .app_data(query_settings())
        .default_service(web::to(nothing_here))
        .wrap(from_fn(access::gate))
}

fn path_settings() -> web::PathConfig {
    web::PathConfig::default().error_handler(|error, _| {
        use super::problem::{Kind, Problem};
        Problem::new(Kind::NoSuchRoute, error.to_string()).into()
    })
}

fn query_settings() -> web::QueryConfig {
    web::QueryConfig::default().error_handler(|error, _| {
        let text = error.to_string();
        let reason = text.strip_prefix("Query deserialize error: ").unwrap_or(&text);
        super::problem::Problem::invalid("query", reason).into()
    })
}
