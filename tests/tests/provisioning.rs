//! An adapter fetches its settings while a window is open for it, and at no other time.

use serde_json::json;
use tipring_tests::rest::Rest;
use tipring_tests::system::{Setup, System};

const MAC: &str = "c074ad112233";

fn system() -> System {
    let apid_yaml = "sip:\n  accounts:\n    - {user: kitchen, extension: \"201\", algorithms: [md5]}\n\
        \x20   - {user: workshop, password: \"pa<ss&word\", algorithms: [md5]}\n\
        provisioning:\n  devices:\n    \
        - {mac: \"C0:74:AD:11:22:33\", accounts: [kitchen, workshop], auto_dial: \"100\"}\n";
    System::start(Setup { apid_yaml: Some(apid_yaml.into()), ..Setup::default() })
}

fn fetch(rest: &Rest, path: &str, basic: Option<&str>) -> (u16, String) {
    let header = basic.map(|value| ("Authorization", value));
    let answer = rest.send("GET", path, header.as_slice(), b"");
    (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
}

/// RFC 4648 §4.
fn base64(text: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in text.as_bytes().chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, octet| bits << 8 | u32::from(*octet))
            << (8 * (3 - three.len()));
        for at in 0..4 {
            let six = (bits >> (18 - 6 * at)) as usize & 63;
            out.push(if at <= three.len() { char::from(ALPHABET[six]) } else { '=' });
        }
    }
    out
}

#[test]
fn only_through_an_open_window() {
    let system = system();
    let rest = system.rest();
    let file = format!("/cfg{MAC}.xml");
    let with = |password: &str| format!("Basic {}", base64(&format!("{MAC}:{password}")));
    assert_eq!(fetch(&rest, &file, None).0, 401);
    assert_eq!(fetch(&rest, &file, Some(&with("guess"))).0, 404, "no window");
    assert_eq!(fetch(&rest, "/cfg000000000000.xml", Some(&with("guess"))).0, 404, "no device");

    let window = format!("/v1/provisioning/{MAC}/window");
    let open = rest.post(&window, &json!({"minutes": 5, "fetches": 2})).expect_json(200);
    let password = open["password"].as_str().expect("a password");
    assert_eq!(fetch(&rest, &file, Some(&with("guess"))).0, 404);
    let (status, xml) = fetch(&rest, &file, Some(&with(password)));
    assert_eq!(status, 200);
    for part in [
        format!("<mac>{MAC}</mac>"),
        format!("<P47>{}</P47>", system.sip_address()),
        "<P35>kitchen</P35>".into(),
        "<P735>workshop</P735>".into(),
        "<P734>pa&lt;ss&amp;word</P734>".into(),
        "<P71>100</P71>".into(),
    ] {
        assert!(xml.contains(&part), "{part} in {xml}");
    }
    let made = xml.split("<P34>").nth(1).and_then(|rest| rest.split('<').next());
    assert!(made.is_some_and(|made| made.len() == 24), "a random password: {made:?}");
    let path = format!("{}cfg{MAC}.xml", open["path"].as_str().expect("a path"));
    assert_eq!(fetch(&rest, &path, None), (200, xml.clone()), "the same without HTTP Basic");
    assert_eq!(fetch(&rest, &path, None).0, 404, "two were granted");

    let devices = rest.get("/v1/provisioning").expect_json(200);
    let device = &devices["devices"][0];
    assert_eq!((&device["mac"], &device["window"]), (&MAC.into(), &json!(null)));
    assert!(device["fetched_at"].is_string(), "{device}");
    assert_eq!(device["ports"][1]["hook"], "unknown");

    // What the device has afterwards, but for one setting; secrets are not told.
    let audit = format!("/v1/provisioning/{MAC}/audit");
    let exported = xml.replace("<P32>5</P32>", "<P32>60</P32>");
    let answer = rest.post_body(&audit, "text/plain", exported.as_bytes()).expect_json(200);
    let difference = json!({"setting": "P32", "wanted": "5", "found": "60"});
    assert_eq!(answer["differences"], json!([difference]));
    rest.post_body(&audit, "text/plain", b"nothing").expect_problem(422, "invalid");
    let resync = format!("/v1/provisioning/{MAC}/resync");
    rest.post(&resync, &json!({})).expect_problem(409, "signalling"); // it is not registered
    rest.post(&window, &json!({})).check(200);
    rest.delete(&window).check(204);
    rest.delete(&window).expect_problem(404, "no-such-device");
    // Nothing of it is in the log.
    let log = system.apid.as_ref().expect("it runs").log();
    assert!(!log.contains(password) && !log.contains("pa<ss"), "{log}");
}
