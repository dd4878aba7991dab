//! A telephone that nobody here wrote (SIPp) against our SIP, over real sockets on loopback.
//! Control is a stand-in that answers every call and writes down what it is told.

use async_trait::async_trait;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};
use tipring_apid::control::{
    Cause, MediaAnswer, MediaOffer, RegistrationChange, RemoteMedia, Signalling as _, TransferTo,
};
use tipring_apid::sip::crypto::Encryption;
use tipring_apid::sip::digest::{self, Algorithm};
use tipring_apid::sip::settings::{AccountKind, AccountSettings, Password, SipSettings};
use tipring_apid::sip::usage::Allowance;
use tipring_apid::sip::{Exchange, Sip};
use tipring_apid::view::CallerIdView;
use tipring_shm_proto::command::Law;

const LIMIT: Duration = Duration::from_secs(20);

/// Answers 600, lets 601 ring, refuses everything else as busy, writes down what happens.
#[derive(Default)]
struct Desk {
    sip: OnceLock<Sip>,
    heard: Mutex<Vec<String>>,
}

impl Desk {
    fn note(&self, what: String) {
        self.heard.lock().unwrap().push(what);
    }

    async fn hears(&self, what: &str) {
        let start = Instant::now();
        while !self.heard.lock().unwrap().iter().any(|heard| heard == what) {
            let heard = self.heard.lock().unwrap().clone();
            assert!(start.elapsed() < LIMIT, "{what} is not in {heard:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[async_trait]
impl Exchange for Desk {
    async fn invites(
        &self,
        line: &str,
        to: &str,
        _caller: Option<CallerIdView>,
        media: RemoteMedia,
    ) {
        self.note(format!("{line} calls {to}"));
        let sip = self.sip.get().unwrap();
        if to == "601" {
            sip.progress(line).await;
        } else if to == "600" {
            sip.progress(line).await;
            let answer = MediaAnswer {
                port: 10_000,
                law: media.laws[0],
                telephone_event: media.telephone_event,
            };
            let _ = sip.accept(line, answer).await;
        } else {
            sip.hang_up(line, Cause::UserBusy).await;
        }
    }
    async fn rings(&self, line: &str) {
        self.note(format!("{line} rings"));
    }
    async fn answers(&self, line: &str, _media: RemoteMedia) {
        self.note(format!("{line} answers"));
    }
    async fn refuses(&self, line: &str, cause: Cause) {
        self.note(format!("{line} refuses {}", cause.code()));
    }
    async fn hangs_up(&self, line: &str, _cause: Cause) {
        self.note(format!("{line} hangs up"));
    }
    async fn cancels(&self, line: &str) {
        self.note(format!("{line} cancels"));
    }
    async fn media_changes(&self, _line: &str, media: RemoteMedia) -> Option<MediaAnswer> {
        Some(MediaAnswer {
            port: 10_000,
            law: *media.laws.first()?,
            telephone_event: media.telephone_event,
        })
    }
    async fn registration(&self, line: &str, change: RegistrationChange) {
        let what = match change {
            RegistrationChange::Registered { .. } => "registers",
            RegistrationChange::Unregistered => "unregisters",
            RegistrationChange::Refused { .. } => "is refused",
            RegistrationChange::OursFailed { .. } => "has failed",
        };
        self.note(format!("{line} {what}"));
    }
    async fn digit(&self, line: &str, digit: char, _duration_ms: u16) {
        self.note(format!("{line} dials {digit}"));
    }
    async fn flash(&self, line: &str) {
        self.note(format!("{line} flashes"));
    }
    async fn transfers(&self, line: &str, to: TransferTo) {
        self.note(format!("{line} transfers to {to:?}"));
        self.sip.get().unwrap().transferred(line, 200).await;
    }
}

/// A folder that goes with its test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tipring-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn start(folder: &Path, algorithms: &[Algorithm]) -> (Sip, Arc<Desk>) {
    start_at("127.0.0.1:0", folder, algorithms).await
}

async fn start_at(listen: &str, folder: &Path, algorithms: &[Algorithm]) -> (Sip, Arc<Desk>) {
    let mut settings = SipSettings::new(listen.parse().unwrap(), folder.join("state"));
    settings.accounts = (1..=50)
        .map(|i| AccountSettings {
            id: format!("phone{i}"),
            kind: AccountKind::Registered {
                password: Password::Plain("secret".into()),
                algorithms: algorithms.to_vec(),
            },
            allowance: Allowance::default(),
            encryption: Encryption::default(),
            trace: false,
        })
        .collect();
    let sip = Sip::open(&settings).await.unwrap();
    let desk = Arc::new(Desk::default());
    assert!(desk.sip.set(sip.clone()).is_ok());
    sip.serve(desk.clone());
    (sip, desk)
}

/// One SIPp process playing one scenario once.
struct Phone {
    child: Child,
    folder: Folder,
}

/// Free a moment ago; SIPp cannot choose one by itself and tell us.
fn free_port() -> u16 {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

/// Every phone's own, and the next few above it.
fn media_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    20_000 + (NEXT.fetch_add(8, Ordering::Relaxed) + std::process::id() as u16 % 16 * 512) % 8192
}

impl Phone {
    fn plays(scenario: &str, user: &str, password: &str, server: SocketAddr, port: u16) -> Self {
        Self::plays_over("u1", scenario, user, password, server, port)
    }

    fn dials(number: &str, scenario: &str, user: &str, server: SocketAddr) -> Self {
        Self::runs("u1", number, scenario, user, "secret", server, free_port())
    }

    fn plays_over(
        transport: &str,
        scenario: &str,
        user: &str,
        password: &str,
        server: SocketAddr,
        port: u16,
    ) -> Self {
        Self::runs(transport, "600", scenario, user, password, server, port)
    }

    fn runs(
        transport: &str,
        number: &str,
        scenario: &str,
        user: &str,
        password: &str,
        server: SocketAddr,
        port: u16,
    ) -> Self {
        let folder = Folder::new(&format!("{user}-{scenario}-{port}"));
        let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/sip");
        let child = Command::new("sipp")
            .args(["-sf", files.join(format!("{scenario}.xml")).to_str().unwrap()])
            .args(["-i", "127.0.0.1", "-p", &port.to_string(), "-t", transport])
            .args(["-s", user, "-au", user, "-ap", password, "-d", "300", "-m", "1"])
            .args(["-key", "number", number, "-key", "rtp_port", "30000"])
            .args(["-key", "expires_s", "600"])
            // SIPp opens media sockets in any case, and gives up where they are taken.
            .args(["-mp", &media_port().to_string()])
            .args(["-nostdin", "-trace_msg", "-trace_err", &server.to_string()])
            .current_dir(&folder.0)
            .env("TERM", "dumb")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sipp is installed (Debian: sip-tester)");
        Self { child, folder }
    }

    async fn ends(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < LIMIT, "{}", self.messages());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn succeeds(mut self) {
        let status = self.ends().await;
        assert!(status.success(), "{status}\n{}", self.messages());
    }

    fn messages(&self) -> String {
        let mut text = String::new();
        for entry in std::fs::read_dir(&self.folder.0).unwrap().flatten() {
            let content = std::fs::read(entry.path()).unwrap_or_default();
            let _ = writeln!(text, "{}", String::from_utf8_lossy(&content));
        }
        text
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn offer() -> MediaOffer {
    MediaOffer { port: 10_002, laws: vec![Law::Mu, Law::A], telephone_event: Some(101) }
}

#[tokio::test(flavor = "multi_thread")]
async fn registers_over_udp_and_tcp_and_not_with_a_wrong_secret() {
    let folder = Folder::new("register");
    let (sip, desk) = start(&folder.0, &[Algorithm::Md5]).await;
    let server = sip.local_addr();
    Phone::plays("register", "phone1", "secret", server, free_port()).succeeds().await;
    desk.hears("phone1 registers").await;
    assert!(sip.registration("phone1").unwrap().registered);
    Phone::plays_over("t1", "register", "phone2", "secret", server, free_port()).succeeds().await;
    desk.hears("phone2 registers").await;
    Phone::plays("wrong_secret", "phone3", "guess", server, free_port()).succeeds().await;
    desk.hears("phone3 is refused").await;
    assert!(!sip.registration("phone3").unwrap().registered);
    assert!(sip.registration("nobody").is_none());
    sip.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_phones_register_and_call_at_once() {
    let folder = Folder::new("fifty");
    let (sip, desk) = start(&folder.0, &[Algorithm::Md5]).await;
    let phones: Vec<Phone> = (1..=50)
        .map(|i| {
            let transport = if i % 5 == 0 { "t1" } else { "u1" };
            let user = format!("phone{i}");
            Phone::plays_over(
                transport,
                "hold_call",
                &user,
                "secret",
                sip.local_addr(),
                free_port(),
            )
        })
        .collect();
    for phone in phones {
        phone.succeeds().await;
    }
    for i in 1..=50 {
        desk.hears(&format!("phone{i} hangs up")).await;
    }
    assert_eq!(sip.live_dialogs(), [""; 0]);
    sip.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_is_rung_answers_and_is_hung_up_on() {
    let folder = Folder::new("rung");
    let (sip, desk) = start(&folder.0, &[Algorithm::Md5]).await;
    let port = free_port();
    Phone::plays("register", "phone1", "secret", sip.local_addr(), port).succeeds().await;
    let phone = Phone::plays("is_rung_and_answers", "phone1", "secret", sip.local_addr(), port);
    let caller = CallerIdView { number: "101".into(), name: "Kitchen".into() };
    sip.invite("phone1", None, offer(), &caller, &[]).await.unwrap();
    desk.hears("phone1 answers").await;
    desk.hears("phone1 rings").await;
    assert_eq!(sip.live_dialogs(), ["phone1"]);
    sip.hang_up("phone1", Cause::NormalClearing).await;
    phone.succeeds().await;
    assert_eq!(sip.live_dialogs(), [""; 0]);
    sip.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_is_rung_in_vain() {
    let folder = Folder::new("vain");
    let (sip, desk) = start(&folder.0, &[Algorithm::Md5]).await;
    let port = free_port();
    Phone::plays("register", "phone1", "secret", sip.local_addr(), port).succeeds().await;
    let nobody = CallerIdView::default();

    let phone = Phone::plays("is_rung_and_cancelled", "phone1", "secret", sip.local_addr(), port);
    sip.invite("phone1", None, offer(), &nobody, &[]).await.unwrap();
    desk.hears("phone1 rings").await;
    sip.cancel("phone1", Cause::NoAnswer).await;
    phone.succeeds().await;

    let phone = Phone::plays("is_rung_and_busy", "phone1", "secret", sip.local_addr(), port);
    sip.invite("phone1", None, offer(), &nobody, &[]).await.unwrap();
    desk.hears("phone1 refuses 17").await;
    phone.succeeds().await;
    sip.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_repeated_until_acknowledged_both_ways() {
    let folder = Folder::new("repeat");
    let (sip, desk) = start(&folder.0, &[Algorithm::Md5]).await;
    let (server, port) = (sip.local_addr(), free_port());
    let mut phone = Phone::dials("600", "calls_and_acknowledges_late", "phone2", server);
    let status = phone.ends().await;
    let messages = phone.messages();
    assert!(status.success(), "{messages}");
    // SIPp takes a repeated answer for the first one, but writes it down.
    let answers = messages.split("message received").filter(|m| m.contains("2 INVITE"));
    let answers = answers.filter(|m| m.contains("SIP/2.0 200")).count();
    assert!(answers >= 3, "{answers}\n{messages}");
    desk.hears("phone2 hangs up").await;

    Phone::plays("register", "phone1", "secret", server, port).succeeds().await;
    let phone = Phone::plays("is_rung_and_repeats_its_answer", "phone1", "secret", server, port);
    sip.invite("phone1", None, offer(), &CallerIdView::default(), &[]).await.unwrap();
    desk.hears("phone1 answers").await;
    // One of its answer, one of the same answer again.
    let start = Instant::now();
    while phone.messages().matches("\nACK ").count() < 2 {
        assert!(start.elapsed() < LIMIT, "{}", phone.messages());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    sip.hang_up("phone1", Cause::NormalClearing).await;
    phone.succeeds().await;
    sip.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_cross() {
    let folder = Folder::new("cross");
    let (sip, desk) = start(&folder.0, &[Algorithm::Md5]).await;
    let (server, port) = (sip.local_addr(), free_port());
    Phone::plays("register", "phone1", "secret", server, port).succeeds().await;
    let phone = Phone::plays("is_rung_and_answers_too_late", "phone1", "secret", server, port);
    sip.invite("phone1", None, offer(), &CallerIdView::default(), &[]).await.unwrap();
    desk.hears("phone1 rings").await;
    sip.cancel("phone1", Cause::NoAnswer).await;
    phone.succeeds().await;
    assert!(!desk.heard.lock().unwrap().contains(&"phone1 answers".to_owned()));

    let phone = Phone::dials("601", "calls_and_cancels", "phone2", server);
    phone.succeeds().await;
    desk.hears("phone2 cancels").await;
    sip.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_holds_and_resumes() {
    let folder = Folder::new("hold");
    let (sip, desk) = start(&folder.0, &[Algorithm::Md5]).await;
    Phone::dials("600", "holds_and_resumes", "phone1", sip.local_addr()).succeeds().await;
    desk.hears("phone1 hangs up").await;
    sip.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_apid_has_phones_and_calls_of_the_last() {
    let folder = Folder::new("restart");
    let (sip, desk) = start(&folder.0, &[Algorithm::Md5]).await;
    let port = free_port();
    Phone::plays("register", "phone1", "secret", sip.local_addr(), port).succeeds().await;
    let phone = Phone::plays("is_rung_and_answers", "phone1", "secret", sip.local_addr(), port);
    sip.invite("phone1", None, offer(), &CallerIdView::default(), &[]).await.unwrap();
    desk.hears("phone1 answers").await;
    sip.stop(); // without a word to the phone, as if it had been killed

    let (next, _desk) = start(&folder.0, &[Algorithm::Md5]).await;
    assert_eq!(next.live_dialogs(), ["phone1"]);
    assert!(next.registration("phone1").unwrap().registered);
    next.adopt(&[]).await;
    phone.succeeds().await;
    assert_eq!(next.live_dialogs(), [""; 0]);
    next.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_stream_ends_itself_only() {
    let folder = Folder::new("stream");
    let (sip, desk) = start(&folder.0, &[Algorithm::Md5]).await;
    let server = sip.local_addr();
    let phone = Phone::plays_over("t1", "hold_call", "phone1", "secret", server, free_port());
    for length in ["18446744073709551615", "99999999999999999999", "-1", "x"] {
        let mut stream = TcpStream::connect(server).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let request = format!("OPTIONS sip:a SIP/2.0\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        assert_eq!(stream.read(&mut [0; 64]).unwrap(), 0, "closed: {length}");
    }
    let mut endless = TcpStream::connect(server).unwrap();
    while endless.write_all(&[b'A'; 4096]).is_ok() {}
    phone.succeeds().await;
    desk.hears("phone1 hangs up").await;
    sip.stop();
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let folder = Folder::new("port");
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let settings = SipSettings::new(taken.local_addr().unwrap(), folder.0.clone());
    let error = Sip::open(&settings).await.unwrap_err().to_string();
    assert!(error.contains("UDP") && error.contains(&taken.local_addr().unwrap().to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_registers_and_is_rung_over_ipv6() {
    let folder = Folder::new("ipv6");
    let (sip, desk) = start_at("[::1]:0", &folder.0, &[Algorithm::Sha256]).await;
    let socket = UdpSocket::bind("[::1]:0").unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket.connect(sip.local_addr()).unwrap();
    let here = socket.local_addr().unwrap();
    let hear = || {
        let mut octets = [0; 4096];
        let length = socket.recv(&mut octets).unwrap();
        String::from_utf8_lossy(&octets[..length]).into_owned()
    };
    let register = |cseq: u32, extra: &str| {
        format!(
            "REGISTER sip:[::1] SIP/2.0\r\nVia: SIP/2.0/UDP [::1]:9;branch=z9hG4bK{cseq};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:phone1@[::1]>;tag=f\r\nTo: <sip:phone1@[::1]>\r\n\
             Call-ID: six\r\nCSeq: {cseq} REGISTER\r\nContact: <sip:phone1@{here}>\r\n{extra}\
             Content-Length: 0\r\n\r\n"
        )
    };
    socket.send(register(1, "").as_bytes()).unwrap();
    let refusal = hear();
    assert!(refusal.starts_with("SIP/2.0 401 "), "{refusal}");
    assert!(refusal.contains(&format!("rport={}", here.port())), "RFC 3581: {refusal}");
    let challenge = refusal.lines().find_map(|line| line.strip_prefix("WWW-Authenticate: "));
    let proof =
        digest::answer(&[challenge.unwrap()], "phone1", "secret", "REGISTER", "sip:[::1]", "c", 1);
    let proof = format!("Authorization: {}\r\n", proof.unwrap());
    socket.send(register(2, &proof).as_bytes()).unwrap();
    let accepted = hear();
    assert!(accepted.starts_with("SIP/2.0 200 "), "{accepted}");
    desk.hears("phone1 registers").await;
    sip.invite("phone1", None, offer(), &CallerIdView::default(), &[]).await.unwrap();
    let invite = hear();
    assert!(invite.starts_with(&format!("INVITE sip:phone1@{here} ")), "{invite}");
    assert!(invite.contains("c=IN IP6 ::1") && invite.contains("UDP [::1]:"), "{invite}");
    sip.stop();
}
