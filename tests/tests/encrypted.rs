//! TLS everywhere: telephones, browsers' telephones, programs and clients that check our certificate.

use serde_json::{Value, json};
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;
use std::process::Command;
use tipring_tests::baresip::{Baresip, Telephone};
use tipring_tests::certificate::Certificate;
use tipring_tests::pjsua::{Pjsua, agents_python, python};
use tipring_tests::process::Folder;
use tipring_tests::signal::{chirps, hearing};
use tipring_tests::system::{Setup, System, free_port};
use tipring_tests::wait::{GENEROUS, until, until_true};

const HOST: &str = "127.0.0.1";

struct Ports {
    tls: u16,
    ws: u16,
    wss: u16,
}

impl Ports {
    fn find() -> Self {
        let free = || free_port(HOST.parse().expect("an address"));
        Self { tls: free(), ws: free(), wss: free() }
    }
}

/// SIP and AMI encrypted, HTTP as `api` says.
fn system(certificate: &Certificate, ports: &Ports, api: &str) -> String {
    let Ports { tls, ws, wss } = ports;
    let yaml = certificate.yaml();
    format!(
        "api: {{{api}}}\n\
         sip:\n  tls: {yaml}\n  tls_port: {tls}\n  ws_port: {ws}\n  wss_port: {wss}\n  accounts:\n\
         \x20   - {{user: phone1, password: secret, extension: \"201\", algorithms: [md5]}}\n\
         \x20   - {{user: phone2, password: secret, extension: \"202\"}}\n\
         ami: {{tls: {yaml}, users: [{{user: manager, secret: secret}}]}}\n\
         lines: [{{id: \"1\", engine: sim/1, extension: \"101\"}}]\n"
    )
}

fn start(certificate: &Certificate, ports: &Ports) -> System {
    System::start(Setup { apid_yaml: Some(system(certificate, ports, "")), ..Setup::default() })
}

#[test]
fn telephones_over_tls() {
    let folder = Folder::new("certificates");
    let certificate = Certificate::make(folder.path(), "tipring");
    let ports = Ports::find();
    let system = start(&certificate, &ports);
    let rest = system.rest();
    let registrar = format!("{HOST}:{}", ports.tls);
    let says = chirps(91, 60_000);
    let mut telephone = Telephone::new("phone1", &registrar, says.clone());
    telephone.transport = "tls".into();
    telephone.trusts = Some(certificate.certificate.clone());
    let phone = Baresip::start(&telephone);
    let mut other = Pjsua::over_tls(&registrar, "phone2", "secret", &certificate.certificate);
    assert_eq!(rest.line("phone2")["registered"], true);
    // It calls, and is heard.
    phone.dial("600");
    phone.expect_event("CALL_ESTABLISHED");
    let heard = phone.heard_of(3000);
    phone.hang_up();
    rest.calls_become(0);
    let hearing = hearing(&says, &heard).expect("something is recognised");
    assert!(hearing.is_convincing(20), "{hearing:?}");
    // It is called on the connection that it opened, by the other one.
    other.does("call 201");
    phone.expect_event("CALL_INCOMING");
    phone.answer();
    other.says("confirmed");
    rest.line_becomes("phone1", "off_hook");
    // One of them encrypts its audio too, the other one can't.
    let leg = |user: &str| {
        let calls = rest.get("/v1/calls").expect_json(200);
        let legs = calls["calls"][0]["legs"].as_array().expect("legs").clone();
        legs.iter().find(|leg| leg["line"] == user).expect("a leg").clone()
    };
    let encrypted = |user: &str| leg(user)["media"]["srtp"] == true;
    assert_eq!((encrypted("phone1"), encrypted("phone2")), (false, true));
    other.does("hang_up");
    rest.calls_become(0);
    rest.line_becomes("phone2", "on_hook");
    // It is called, and heard before and after it held the call.
    rest.post("/v1/lines/phone2/ring", &json!({})).check(202);
    other.says("incoming");
    other.does("answer");
    rest.line_becomes("phone2", "off_hook");
    let heard = || leg("phone2")["media"]["packets"].as_u64();
    let goes_on = |before: Option<u64>| {
        until_true("encrypted audio", std::time::Duration::from_secs(4), || {
            heard() > before.map(|packets| packets + 20)
        });
    };
    goes_on(Some(0));
    for (command, state) in [("hold", "held"), ("resume", "connected")] {
        other.does(command);
        until_true(state, GENEROUS, || leg("phone2")["state"] == state);
    }
    goes_on(heard());
    assert!(encrypted("phone2"));
    other.does("hang_up");
    rest.calls_become(0);
    assert_eq!(rest.counter("srtp_refused_total"), 0);
    let diagnostics = rest.get("/v1/diagnostics").expect_json(200);
    let port = |service: &str| {
        let all = diagnostics["ports"].as_array().expect("ports");
        all.iter().find(|port| port["service"] == service).expect("it is open").clone()
    };
    assert_eq!(port("sip_tls")["address"], registrar.as_str());
    for (service, encrypted) in
        [("sip_tls", true), ("sip_wss", true), ("ami", true), ("sip_ws", false), ("http", false)]
    {
        assert_eq!(port(service)["encrypted"], encrypted, "{service}");
        assert_eq!(port(service)["warning"], Value::Null, "loopback needs none: {service}");
    }
    // A telephone that trusts another certificate does not even tell its name.
    let stranger = Certificate::make(folder.path(), "stranger");
    Pjsua::suspicious(&registrar, "phone2", &stranger.certificate).says("refused 503");
}

#[test]
fn telephones_on_websockets() {
    let folder = Folder::new("certificates");
    let certificate = Certificate::make(folder.path(), "tipring");
    let ports = Ports::find();
    let system = start(&certificate, &ports);
    let rest = system.rest();
    let trusts = certificate.certificate.to_string_lossy();
    for (user, url) in [
        ("phone1", format!("ws://{HOST}:{}", ports.ws)),
        ("phone2", format!("wss://{HOST}:{}", ports.wss)),
    ] {
        let arguments = [&url, user, "secret", &trusts];
        let mut phone = Pjsua::run(&agents_python(), "web_telephone.py", &arguments);
        phone.does("register");
        phone.says("registered");
        assert_eq!(rest.line(user)["registered"], true);
        phone.does("call 600");
        phone.says("confirmed");
        rest.line_becomes(user, "off_hook");
        phone.does("hang_up");
        rest.line_becomes(user, "on_hook");
        rest.post(&format!("/v1/lines/{user}/ring"), &json!({})).check(202);
        phone.says("incoming");
        phone.does("answer");
        rest.line_becomes(user, "off_hook");
        rest.post_empty(&format!("/v1/lines/{user}/hangup")).check(202);
        phone.says("disconnected");
        rest.calls_become(0);
    }
    // Who is no telephone, or a page from elsewhere, is told why.
    let refused = |headers: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["-sS", "-m", "20", "-w", " %{http_code}", "-H", "Connection: Upgrade"]);
        command.args(["-H", "Upgrade: websocket", "-H", "Sec-WebSocket-Version: 13"]);
        command.args(["-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]);
        for header in headers {
            command.args(["-H", header]);
        }
        let output = command.arg(format!("http://{HOST}:{}", ports.ws)).output();
        String::from_utf8_lossy(&output.expect("curl runs").stdout).into_owned()
    };
    assert_eq!(refused(&[]), "Sec-WebSocket-Protocol: sip is needed 400");
    let page = ["Sec-WebSocket-Protocol: sip", "Origin: https://evil.example"];
    assert_eq!(refused(&page), "pages of this origin are not allowed here 403");
}

/// What curl is answered by `https://`, if it trusts this certificate.
fn curl(address: &str, path: &str, trusts: &Path) -> String {
    let url = format!("https://{address}{path}");
    let mut command = Command::new("curl");
    command.args(["-sS", "-m", "20", "-w", " %{http_code} %{http_version}", "--cacert"]);
    let output = command.arg(trusts).arg(url).output().expect("curl runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn clients_over_tls() {
    let folder = Folder::new("certificates");
    let certificate = Certificate::make(folder.path(), "tipring");
    let ports = Ports::find();
    let yaml = format!("tls: {}", certificate.yaml());
    let apid_yaml = Some(self::system(&certificate, &ports, &yaml));
    let mut system = System::prepare(Setup { apid_yaml, ..Setup::default() });
    system.start_engine();
    system.start_apid();
    let address = system.address();
    until_true("readyz", GENEROUS, || {
        curl(&address, "/readyz", &certificate.certificate).ends_with("200 1.1")
    });
    let manager = "import asyncio, ssl, sys\n\
        from panoramisk import Manager\n\
        async def run():\n\
        \x20   trust = ssl.create_default_context(cafile=sys.argv[2])\n\
        \x20   manager = Manager(host='127.0.0.1', port=int(sys.argv[1]), username='manager',\n\
        \x20                     secret='secret', ssl=trust)\n\
        \x20   await manager.connect()\n\
        \x20   await manager.authenticated_future\n\
        \x20   print((await manager.send_action({'Action': 'Ping'})).ping)\n\
        asyncio.run(run())\n";
    let mut client = Command::new(python());
    client.args(["-c", manager, &system.ports.ami.to_string()]).arg(&certificate.certificate);
    let output = client.output().expect("Python runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "Pong\n", "{output:?}");
    let web = "import asyncio, ssl, sys, websockets\n\
        async def run():\n\
        \x20   trust = ssl.create_default_context(cafile=sys.argv[2])\n\
        \x20   async with websockets.connect(sys.argv[1], ssl=trust) as events:\n\
        \x20       print('connected')\n\
        asyncio.run(run())\n";
    for port in [system.ports.http, system.ports.websocket] {
        let mut client = Command::new(agents_python());
        client.args(["-c", web, &format!("wss://{HOST}:{port}/ws")]).arg(&certificate.certificate);
        let output = client.output().expect("Python runs");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "connected\n", "{output:?}");
    }
    // A renewed certificate is shown as soon as it is told of; a broken one is not.
    let before = folder.file("before.pem");
    std::fs::copy(&certificate.certificate, &before).expect("copied");
    let renewed = Certificate::make(folder.path(), "tipring");
    assert!(curl(&address, "/healthz", &before).ends_with("200 1.1"));
    let reload = |status: &str| {
        let mut command = Command::new("curl");
        command.args(["-sSk", "-m", "20", "-X", "POST", "-o", "/dev/null", "-w", "%{http_code}"]);
        let output = command.arg(format!("https://{address}/v1/reload")).output();
        assert_eq!(String::from_utf8_lossy(&output.expect("curl runs").stdout), status);
    };
    reload("200");
    assert!(curl(&address, "/healthz", &renewed.certificate).ends_with("200 1.1"));
    assert!(curl(&address, "/healthz", &before).ends_with(" 000 0"));
    std::fs::write(&renewed.key, "no key").expect("written");
    reload("422");
    assert!(curl(&address, "/healthz", &renewed.certificate).ends_with("200 1.1"));
    // Plain HTTP at that port is closed, and the next start says what is wrong.
    let plain = system.rest().try_get("/healthz");
    assert!(plain.is_none_or(|answer| answer.status != 200));
    system.apid.take();
    system.start_apid();
    until("the refused start", GENEROUS, || {
        let log = system.apid.as_ref().expect("it was started").log();
        log.contains("tipring.key: no PEM private key").then_some(())
    });
}

/// Two systems, one of which is a phone that never registers to the other one.
#[test]
fn calls_of_ours_over_tls() {
    let folder = Folder::new("certificates");
    let certificate = Certificate::make(folder.path(), "tipring");
    let trusts = folder.file("trusted.pem");
    std::fs::copy(&certificate.certificate, &trusts).expect("copied");
    let host = IpAddr::V6(Ipv6Addr::LOCALHOST);
    let start = |tls_port: u16, rest: String| {
        let yaml = certificate.yaml();
        let apid_yaml = format!("sip:\n  tls: {yaml}\n  tls_port: {tls_port}\n{rest}");
        System::start(Setup { apid_yaml: Some(apid_yaml), host, ..Setup::default() })
    };
    let (ours, theirs) = (free_port(host), free_port(host));
    let office = "  accounts: [{user: office, host: \"::1\", auth: none}]\n".to_owned();
    let called = start(theirs, office + "numbers: {echo: \"600\"}\n");
    let phone = format!("user: \"600\", host: \"::1\", port: {theirs}, transport: tls, auth: none");
    let trust = format!("  trusts: {}\n", trusts.display());
    let mut calling = start(ours, format!("{trust}  accounts: [{{{phone}}}]\n"));
    let rest = calling.rest();
    rest.post_empty("/v1/lines/600/ring").check(202);
    rest.line_becomes("600", "off_hook");
    let media = || rest.get("/v1/calls").expect_json(200)["calls"][0]["media"].clone();
    until_true("encrypted audio", GENEROUS, || media()["packets"].as_u64() > Some(20));
    assert_eq!(media()["srtp"], true);
    rest.post_empty("/v1/lines/600/hangup").check(202);
    called.rest().calls_become(0);
    // One that shows a certificate which nobody vouches for is not called.
    let stranger = Certificate::make(folder.path(), "stranger");
    std::fs::copy(&stranger.certificate, &trusts).expect("copied");
    calling.apid.take();
    calling.start_apid();
    calling.ready();
    rest.post_empty("/v1/lines/600/ring").check(202);
    until_true("the refused certificate", GENEROUS, || {
        let log = calling.apid.as_ref().expect("it runs").log();
        log.contains("no TLS connection to the phone") && log.contains("certificate")
    });
    rest.line_becomes("600", "on_hook");
    assert!(called.rest().calls_become(0).is_empty());
}

/// Two systems, one of which has an account at the other: its calls come in on the connection that
/// it opened, encrypted.
#[test]
fn a_trunk_over_tls() {
    let folder = Folder::new("certificates");
    let certificate = Certificate::make(folder.path(), "tipring");
    let tls_port = free_port(HOST.parse().expect("an address"));
    let line = "lines: [{id: \"1\", engine: sim/1, extension: \"101\"}]\n";
    let provider = format!(
        "sip:\n  tls: {}\n  tls_port: {tls_port}\n  accounts: [{{user: branch, password: \
         wonderland, extension: \"201\"}}]\n{line}",
        certificate.yaml()
    );
    let provider = System::start(Setup { apid_yaml: Some(provider), ..Setup::default() });
    let trusts = certificate.certificate.display();
    let ours = format!(
        "sip:\n  trusts: {trusts}\n  trunks: [{{name: out, domain: {HOST}, port: {tls_port}, \
         transport: tls, user: branch, password: wonderland, rings: \"101\"}}]\n{line}"
    );
    let ours = System::start(Setup { apid_yaml: Some(ours), ..Setup::default() });
    let rest = ours.rest();
    until_true("a registration", GENEROUS, || {
        rest.get("/v1/sip/trunks").expect_json(200)[0]["state"] == "registered"
    });
    let caller = provider.rest();
    caller.hook("1", true);
    caller.post("/v1/sim/1/dial", &json!({"digits": "201"})).check(202);
    rest.line_becomes("1", "ringing");
    rest.hook("1", true);
    rest.line_becomes("out-1", "off_hook");
    let media = || rest.get("/v1/calls").expect_json(200)["calls"][0]["media"].clone();
    until_true("encrypted audio", GENEROUS, || media()["packets"].as_u64() > Some(20));
    assert_eq!(media()["srtp"], true);
    caller.hook("1", false);
    rest.calls_become(0);
}
