//! Puts the process together: everything that can be refused is refused before anything starts.

use crate::ami::{self, BoundAmi};
use crate::auth::Tokens;
use crate::call::{CallNumber, DialPlan, Switch, SwitchConfig, Target};
use crate::channel::{self, Channels};
use crate::config::{
    Account, Algorithm, Auth, Config, Defence, DeviceConfig, DeviceModel, HostTransport,
    LoadedPlans, Name, Secret, Srtp, Tls, TrunkConfig, WebhookConfig,
};
use crate::control::{
    Control, ControlSettings, LineDirectory, NoSignalling, Plans, RecordLimits, RecordingLimits,
    Signalling, VoltageLimits,
};
use crate::engine_link::EngineLink;
use crate::fetch::Fetcher;
use crate::http::{self, HttpSettings};
use crate::journal::{self, Journal};
use crate::plan::run::{CurrentPlan, Database, Runner};
use crate::provisioning::{Device, Model, Port, device_secrets};
use crate::recording::Shelf;
use crate::sip::Sip;
use crate::sip::bans::BanRule;
use crate::sip::crypto::Encryption;
use crate::sip::defence::DefenceSettings;
use crate::sip::digest;
use crate::sip::gate::Share;
use crate::sip::message::Transport;
use crate::sip::settings::{AccountKind, AccountSettings, Password, SipSettings, WebOrigins};
use crate::sip::trunk::{Server as SipServer, TrunkSettings};
use crate::sip::usage::Allowance;
use crate::speech::Speech;
use crate::store::Store;
use crate::stream::Streams;
use crate::tls::{Certificate, Trust};
use crate::view::PortDiagnostics;
use sd_notify::NotifyState;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tipring_handler::{Level, Server, ServerSettings};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Runs until SIGTERM or SIGINT. Calls go on without us: the next apid takes them over.
///
/// # Errors
/// What cannot be, for the person at the terminal: an address that others can reach with sample
/// secrets, a port in use, a folder that cannot be written.
pub async fn run(
    config: &Config,
    state_dir: &Path,
    socket: &Path,
    read_plans: Arc<dyn Fn() -> Result<LoadedPlans, String> + Send + Sync>,
) -> Result<(), String> {
    let tokens_file = config.tokens_file(state_dir);
    let tokens = Tokens::load(&tokens_file).map_err(|error| error.to_string())?;
    config.check_exposure(!tokens.is_empty()).map_err(|error| error.to_string())?;
    let mut certificates = Certificates::default();
    let mut web = HttpSettings::of(config, Arc::new(tokens));
    web.tls = certificates.load(config.api.tls.as_ref())?;
    let web = http::bind(web).map_err(|error| error.to_string())?;
    let (accounts, devices) = provisioned(config, state_dir)?;
    let sip = open_sip(config, &accounts, state_dir, &mut certificates).await?;
    let ami = open_ami(config, state_dir, &mut certificates).await?;
    let handler = open_handler(config).await?;
    let mut stop = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
    let hang_up = signal(SignalKind::hangup());

    let journal = Journal::open(state_dir)
        .map_err(|error| format!("state folder {}: {error}", state_dir.display()))?;
    let mut rtp_lines = journal::read_rtp_lines(state_dir);
    let before = rtp_lines.clone();
    let lines = LineDirectory::new(config, &mut rtp_lines);
    if rtp_lines != before {
        journal::write_rtp_lines(state_dir, &rtp_lines);
    }
    let signalling: Arc<dyn Signalling> = match &sip {
        Some(sip) => Arc::new(sip.clone()),
        None => Arc::new(NoSignalling),
    };
    let mut switch = Switch::new(switch_config(config)?, first_call());
    let current = CurrentPlan::default();
    let reads = current.clone();
    let read_plans = Arc::new(move || {
        certificates.reload()?;
        let loaded = read_plans()?;
        reads.set(loaded.dialplan.clone());
        Ok(loaded.plans())
    });
    let plans: Plans = read_plans()?;
    switch.set_line_plans(plans.lines, plans.everybody);
    let store = Store::open(&state_dir.join("tipring.db")).map_err(|error| error.to_string())?;
    let settings = ControlSettings {
        lines,
        switch,
        signalling,
        applications: Arc::new(Streams::new(config.stream_settings())),
        rtp_address: config.sip.host.0,
        sounds: config.sounds.sounds(state_dir),
        speech: Speech::new(config.speech.settings()),
        fetcher: Fetcher::new(config.fetch.settings()),
        journal: journal.clone(),
        store: store.clone(),
        shelf: open_shelf(config, state_dir)?,
        recording_limits: RecordingLimits {
            max_ms: config.recordings.max_ms.get(),
            max_running: config.recordings.max_running.get() as usize,
            keep: days(config.recordings.keep_days.get()),
        },
        webhooks: config.webhooks.iter().map(WebhookConfig::settings).collect(),
        hold_music: config.calls.hold_music.as_ref().map(|name| name.as_str().to_owned()),
        read_plans,
        voltage_limits: VoltageLimits {
            low: config.voltage.low_mv.get() as f64 / 1000.0,
            high: config.voltage.high_mv.get() as f64 / 1000.0,
        },
        record_limits: RecordLimits {
            keep: days(config.call_records.keep_days.get()),
            max_calls: config.call_records.max_calls.get(),
        },
        devices,
    };
    let (link, notes) = EngineLink::start(socket).map_err(|error| error.to_string())?;
    let control = Control::start(settings, link.clone(), notes);
    tokio::spawn(reload_on(hang_up, control.clone()));
    let channels = Channels::default();
    tokio::spawn(channel::follow(channels.clone(), control.clone()));
    let database = Database::open(store).await.map_err(|error| error.to_string())?;
    let _plans = Runner::start(&control, &channels, current, database, config.agi.settings());
    let stop_ami = CancellationToken::new();
    let ami = ami.map(|ami| ami.serve(control.clone(), channels, stop_ami.clone()));
    if let Some(sip) = &sip {
        for &(transport, address) in sip.ports() {
            let service = format!("sip_{}", transport.token().to_ascii_lowercase());
            let encrypted = matches!(transport, Transport::Tls | Transport::Wss);
            control.note_port(PortDiagnostics::new(&service, address, encrypted));
        }
        sip.serve(Arc::new(control.clone()));
    }
    if let Some((server, address)) = handler {
        control.note_port(PortDiagnostics::new("handler", address, false));
        tokio::spawn(server.serve());
    }
    for port in web.ports() {
        control.note_port(port);
    }
    // sd_notify(3): who waits for us may come; a manager that does not listen loses nothing.
    let _ = sd_notify::notify(&[NotifyState::Ready]);
    let shutdown = async {
        let [terminate, interrupt] = &mut stop;
        tokio::select! {
            () = received(terminate) => {}
            () = received(interrupt) => {}
        }
        tracing::info!("asked to stop; calls go on without us");
    };
    let served = web.serve(control, shutdown).await;
    stop_ami.cancel();
    if let Some(ami) = ami {
        ami.ended().await;
    }
    if let Some(sip) = &sip {
        sip.leave().await;
        sip.stop();
    }
    link.stop();
    journal.close();
    served.map_err(|error| format!("HTTP: {error}"))
}

fn open_shelf(config: &Config, state_dir: &Path) -> Result<Shelf, String> {
    let folder = config.recordings.folder.clone();
    let folder = folder.unwrap_or_else(|| state_dir.join("recordings"));
    let shelf = Shelf::open(&folder, config.recordings.max_bytes.get());
    shelf.map_err(|error| format!("folder of recordings {}: {error}", folder.display()))
}

/// Every certificate that is shown.
#[derive(Default)]
struct Certificates(Vec<Arc<Certificate>>);

impl Certificates {
    fn load(&mut self, tls: Option<&Tls>) -> Result<Option<Arc<Certificate>>, String> {
        let Some(tls) = tls else { return Ok(None) };
        let loaded = Certificate::load(&tls.files()).map_err(|error| error.to_string())?;
        self.0.push(loaded.clone());
        Ok(Some(loaded))
    }

    /// Renewed ones are shown from now on.
    fn reload(&self) -> Result<(), String> {
        self.0.iter().try_for_each(|one| one.reload()).map_err(|error| error.to_string())
    }
}

/// 0 is for ever.
fn days(days: u64) -> Option<Duration> {
    (days > 0).then(|| Duration::from_secs(days * 86_400))
}

/// SIGHUP reads dial plans and certificates anew.
async fn reload_on(
    hang_up: std::io::Result<tokio::signal::unix::Signal>,
    control: Control,
) -> Option<()> {
    let mut hang_up = hang_up.ok()?;
    loop {
        hang_up.recv().await?;
        // What is wrong was told to everybody who listens.
        let _ = control.reload_plans().await;
    }
}

async fn received(signal: &mut std::io::Result<tokio::signal::unix::Signal>) {
    match signal {
        Ok(signal) => {
            signal.recv().await;
        }
        // A signal that cannot be listened to ends the process by itself.
        Err(_) => std::future::pending().await,
    }
}

/// The inbound call handler's server, where one is configured.
async fn open_handler(config: &Config) -> Result<Option<(Server, SocketAddr)>, String> {
    let Some(address) = config.handler.address() else { return Ok(None) };
    let listener = TcpListener::bind(address).await;
    let listener =
        listener.map_err(|error| format!("handler cannot listen on {address}: {error}"))?;
    let allowed = config.handler.clone();
    let settings = ServerSettings {
        timings: config.handler.timings(),
        ids: config.handler.session_id_in_events,
        max_clients: config.handler.max_clients.get() as usize,
        allows: Arc::new(move |peer| allowed.allows(peer)),
        log: Arc::new(|level, line| match level {
            Level::Debug => tracing::debug!(surface = "handler", "{line}"),
            Level::Info => tracing::info!(surface = "handler", "{line}"),
            Level::Warning => tracing::warn!(surface = "handler", "{line}"),
        }),
    };
    Ok(Some((Server::new(listener, settings), address)))
}

async fn open_sip(
    config: &Config,
    accounts: &[Account],
    state_dir: &Path,
    certificates: &mut Certificates,
) -> Result<Option<Sip>, String> {
    if config.sip.accounts.is_empty() && config.sip.trunks.is_empty() {
        return Ok(None);
    }
    let listen = SocketAddr::new(config.sip.host.0, config.sip.port.number());
    let mut settings = SipSettings::new(listen, state_dir.to_owned());
    settings.realm.clone_from(&config.sip.realm);
    settings.accounts = accounts.iter().map(account).collect();
    settings.trunks = config.sip.trunks.iter().map(trunk).collect::<Result<_, _>>()?;
    settings.name_servers.clone_from(&config.sip.name_servers);
    settings.defence = defence(&config.sip.defence);
    settings.certificate = certificates.load(config.sip.tls.as_ref())?;
    let trusts = config.sip.trusts.as_ref().map(|file| file.value.as_path());
    settings.trust = Trust::load(trusts).map_err(|error| error.to_string())?;
    settings.tls_port = Some(config.sip.tls_port.number());
    settings.ws_port = config.sip.ws_port.map(crate::config::Port::number);
    settings.wss_port = config.sip.wss_port.map(crate::config::Port::number);
    settings.origins = WebOrigins {
        origins: config.security.allowed_origins.clone(),
        host_names: config.api.host_names.clone(),
    };
    let opened = Sip::open(&settings).await;
    opened.map(Some).map_err(|error| error.to_string())
}

async fn open_ami(
    config: &Config,
    state_dir: &Path,
    certificates: &mut Certificates,
) -> Result<Option<BoundAmi>, String> {
    let made = device_secrets(state_dir, &config.ami.without_secret())
        .map_err(|error| format!("state folder {}: {error}", state_dir.display()))?;
    let Some(mut settings) = config.ami_settings(&made) else { return Ok(None) };
    settings.tls = certificates.load(config.ami.tls.as_ref())?;
    let listen = settings.listen;
    let bound = ami::bind(settings).await;
    bound.map(Some).map_err(|error| format!("AMI cannot listen on {listen}: {error}"))
}

/// The accounts with the passwords of devices that are set up from here, and those devices.
fn provisioned(config: &Config, state_dir: &Path) -> Result<(Vec<Account>, Vec<Device>), String> {
    let mut accounts = config.sip.accounts.clone();
    let devices = &config.provisioning.devices;
    let of_a_device = |user: &str| {
        devices.iter().flat_map(|device| &device.accounts).any(|name| name.as_str() == user)
    };
    let without: Vec<String> = accounts
        .iter()
        .filter(|account| account.password.is_none() && of_a_device(account.user.value.as_str()))
        .map(|account| account.user.value.as_str().to_owned())
        .collect();
    let secrets = device_secrets(state_dir, &without)
        .map_err(|error| format!("state folder {}: {error}", state_dir.display()))?;
    for account in &mut accounts {
        let made = secrets.get(account.user.value.as_str()).cloned();
        account.password = account.password.take().or(made);
    }
    let host = config.provisioning.server.unwrap_or(config.sip.host).0;
    let server = SocketAddr::new(host, config.sip.port.number());
    let port = |name: &Name| {
        let account = accounts.iter().find(|account| account.user.value == *name)?;
        Some(Port {
            user: name.as_str().to_owned(),
            name: account.name.clone().unwrap_or_else(|| name.as_str().to_owned()),
            password: account.password.clone()?,
        })
    };
    let device = |device: &DeviceConfig| Device {
        mac: device.mac.value.0.clone(),
        model: match device.model {
            DeviceModel::Ht801 => Model::Ht801,
            DeviceModel::Ht802 => Model::Ht802,
            DeviceModel::Ht802v2 => Model::Ht802V2,
        },
        server,
        ports: device.accounts.iter().filter_map(port).collect(),
        auto_dial: device.auto_dial.as_ref().map(|number| number.as_str().to_owned()),
        pulse: device.pulse,
        snmp_community: device.snmp_community.clone(),
        address: device.address,
        own: device.settings.clone(),
    };
    let devices = devices.iter().map(device).collect();
    Ok((accounts, devices))
}

fn account(account: &Account) -> AccountSettings {
    let id = account.user.value.as_str().to_owned();
    let password = account.password.as_ref().map(|secret| secret.reveal().to_owned());
    let algorithms: Vec<digest::Algorithm> =
        account.algorithms.iter().map(|algorithm| digest_algorithm(*algorithm)).collect();
    let transport = transport(account.transport);
    let usual_port = if transport == Transport::Tls { 5061 } else { 5060 };
    let port = account.port.map_or(usual_port, crate::config::Port::number);
    let kind = if let Some(host) = account.host {
        AccountKind::Fixed {
            address: SocketAddr::new(host, port),
            transport,
            user: id.clone(),
            credentials: password
                .filter(|_| account.auth == Auth::Digest)
                .map(|password| (id.clone(), password)),
            algorithms,
        }
    } else {
        let hash = |(algorithm, hash): (&Algorithm, &Secret)| {
            (digest_algorithm(*algorithm), hash.reveal().to_ascii_lowercase())
        };
        let hashes = account.ha1.as_ref().map(|ha1| ha1.iter().map(hash).collect());
        let password =
            hashes.map_or_else(|| Password::Plain(password.unwrap_or_default()), Password::Hashes);
        AccountKind::Registered { password, algorithms }
    };
    let allowance = Allowance {
        numbers: account.may_call.clone(),
        calls_per_day: account.calls_per_day.map(|calls| calls.get() as u32),
        minutes_per_day: account.minutes_per_day.map(|minutes| minutes.get() as u32),
    };
    let encryption = encryption(account.srtp);
    AccountSettings { id, kind, allowance, encryption, trace: account.trace }
}

/// Its password may stand in a file.
fn trunk(trunk: &TrunkConfig) -> Result<TrunkSettings, String> {
    let name = trunk.name.value.as_str();
    let password = trunk.read_password().map_err(|reason| format!("trunk {name}: {reason}"))?;
    let server = |(host, port)| SipServer { host, port };
    Ok(TrunkSettings {
        name: name.to_owned(),
        lines: trunk.lines(),
        domain: server((trunk.domain.value.clone(), trunk.port.map(crate::config::Port::number))),
        proxy: trunk.proxy_address().map(server),
        transport: transport(trunk.transport),
        user: trunk.user.clone(),
        login: trunk.auth_user.clone().unwrap_or_else(|| trunk.user.clone()),
        password,
        expires_s: trunk.register.then(|| trunk.expires_s.get() as u32),
        rings: trunk.rings.value.as_str().to_owned(),
        number: trunk.number.clone(),
        sources: trunk.sources.clone(),
        encryption: encryption(trunk.srtp),
        trace: trunk.trace,
    })
}

const fn transport(transport: HostTransport) -> Transport {
    match transport {
        HostTransport::Udp => Transport::Udp,
        HostTransport::Tcp => Transport::Tcp,
        HostTransport::Tls => Transport::Tls,
    }
}

const fn encryption(srtp: Srtp) -> Encryption {
    match srtp {
        Srtp::Automatic => Encryption::Automatic,
        Srtp::Required => Encryption::Required,
        Srtp::Off => Encryption::Off,
    }
}

fn defence(defence: &Defence) -> DefenceSettings {
    DefenceSettings {
        strangers: Share {
            per_s: defence.requests_per_s.get() as u32,
            burst: defence.burst.get() as u32,
        },
        bans: BanRule {
            failures: defence.ban_after.get() as u32,
            within_s: defence.ban_window_s.get() as u32,
            lasts_s: defence.ban_s.get() as u32,
        },
        trusted: defence.trusted_sources.clone(),
    }
}

const fn digest_algorithm(algorithm: Algorithm) -> digest::Algorithm {
    match algorithm {
        Algorithm::Md5 => digest::Algorithm::Md5,
        Algorithm::Sha256 => digest::Algorithm::Sha256,
    }
}

fn switch_config(config: &Config) -> Result<SwitchConfig, String> {
    let mut plan = DialPlan::default();
    let numbers =
        [(&config.numbers.echo, Target::Echo), (&config.numbers.dial_tone, Target::DialTone)];
    for (number, target) in numbers {
        if let Some(number) = number {
            plan.add(number.as_str(), target);
        }
    }
    // The file was checked when it was read; its name is not known here.
    let claimable = config.applications.claimable(Path::new("applications.claim"));
    Ok(SwitchConfig {
        plan,
        inter_digit_ms: config.numbers.inter_digit_ms.get(),
        ring_timeout_ms: config.calls.ring_timeout_ms.get() as u32,
        media_timeout_ms: config.calls.media_timeout_ms.get() as u32,
        max_calls: config.calls.max_calls.get() as usize,
        conferences: config.calls.conferences.get() as u16,
        conference_members: config.calls.conference_members.get() as usize,
        trunks: config.sip.trunks.iter().map(way_out).collect(),
        claimable: claimable.map_err(|error| error.to_string())?,
        max_claims: config.applications.max_claims.get() as usize,
        ..SwitchConfig::default()
    })
}

fn way_out(trunk: &TrunkConfig) -> (String, crate::call::Trunk) {
    let strip = trunk.strip.get() as usize;
    let way = crate::call::Trunk { lines: trunk.lines(), strip, prepend: trunk.prepend.clone() };
    (trunk.name.value.as_str().to_owned(), way)
}

/// Greater than the number of any call of an earlier apid.
fn first_call() -> CallNumber {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    CallNumber(since_epoch.map_or(1, |age| age.as_micros() as u64))
}
