//! What is taken and what is refused, with file and line.

use super::{Auth, Codec, Config};
use std::path::Path;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("/etc/tipring/apid.yml")).map_err(|error| error.to_string())
}

#[test]
fn the_sample_says_what_holds_anyway() {
    let sample = parse(include_str!("../../apid.yml")).unwrap();
    let default = Config::default();
    assert_eq!(format!("{:?}", sample.api), format!("{:?}", default.api));
    assert_eq!(format!("{:?}", sample.numbers), format!("{:?}", default.numbers));
    assert_eq!(format!("{:?}", sample.applications), format!("{:?}", default.applications));
    assert_eq!(format!("{:?}", sample.calls), format!("{:?}", default.calls));
    assert_eq!(format!("{:?}", sample.sounds), format!("{:?}", default.sounds));
    assert_eq!(format!("{:?}", sample.speech), format!("{:?}", default.speech));
    assert_eq!(format!("{:?}", sample.fetch), format!("{:?}", default.fetch));
    assert_eq!(format!("{:?}", sample.recordings), format!("{:?}", default.recordings));
    assert_eq!(format!("{:?}", sample.call_records), format!("{:?}", default.call_records));
    assert_eq!(format!("{:?}", sample.security), format!("{:?}", default.security));
    assert_eq!(format!("{:?}", sample.logging), format!("{:?}", default.logging));
    assert_eq!(format!("{:?}", sample.ami), format!("{:?}", default.ami));
    assert_eq!(sample.sip.accounts.len(), 2);
    assert_eq!(sample.sip.accounts[1].auth, Auth::None);
}

#[test]
fn the_demonstration_has_two_lines_and_four_phones() {
    let config = Config::demonstration();
    let users: Vec<_> = config.sip.accounts.iter().map(|a| a.user.value.as_str()).collect();
    assert_eq!(users, ["phone1", "phone2", "phone3", "phone4"]);
    assert_eq!(config.sip.accounts[3].extension.as_ref().unwrap().value.as_str(), "204");
    assert_eq!(config.lines.len(), 2);
    assert_eq!(config.applications.claim.len(), 1, "programs may answer what is free");
    assert_eq!(config.sip.accounts[0].codecs, [Codec::Pcmu, Codec::Pcma]);
    assert!(config.check_exposure(false).is_ok(), "it is on loopback");
}

#[test]
fn nothing_is_a_configuration() {
    assert!(parse("").is_ok());
    assert!(parse("# nothing yet\n\n").is_ok());
}

#[test]
fn refusals_name_file_line_and_what_is_allowed() {
    for (text, expected) in [
        ("api:\n  prot: 8000\n", ["apid.yml:2", "prot", "port"]),
        ("applications:\n  claim: [\"7a\"]\n", ["apid.yml:2", "7a", "cannot be dialled"]),
        ("applications:\n  claim: [_7Q]\n", ["apid.yml:2", "_7Q", "no pattern"]),
        ("api:\n  port: 70000\n", ["apid.yml:2", "70000", "1 to 65535"]),
        ("api:\n  port: http\n", ["apid.yml:2", "`http`", "1 to 65535"]),
        ("logging:\n  level: loud\n", ["apid.yml:2", "loud", "info"]),
        ("webhooks:\n  - {url: \"ftp://x\", secret: s}\n", ["apid.yml:2", "ftp://x", "https://"]),
        (
            "webhooks:\n  - {url: \"https://x\", secret: s, types: [rain]}\n",
            ["apid.yml:2", "rain", "type of event"],
        ),
        (
            "ami:\n  users:\n    - user: a\n      read: [cals]\n",
            ["apid.yml:4", "cals", "originate"],
        ),
        ("ami:\n  users:\n    - {user: a}\n    - {user: a}\n", ["apid.yml:4", "`a`", "twice"]),
        (
            "ami:\n  users:\n    - {user: a, event_filters: [\"(x\"]}\n",
            ["apid.yml:3", "(x", "Event: Newchannel"],
        ),
        ("ami:\n  users:\n    - {user: a, dialect: old}\n", ["apid.yml:3", "old", "legacy"]),
        ("api:\n  host: here\n", ["apid.yml:2", "here", "IP address"]),
        (
            "sip:\n  accounts:\n    - user: a\n      password: x\n      algorithms: [sha1]\n",
            ["apid.yml:5", "sha1", "sha256"],
        ),
        ("sip:\n  accounts:\n    - user: a/b\n      password: x\n", ["apid.yml:3", "a/b", "A-Z"]),
        ("sip:\n  accounts:\n    - user: a\n", ["apid.yml:3", "account a", "needs `password`"]),
        (
            "sip:\n  accounts:\n    - user: a\n      auth: none\n",
            ["apid.yml:3", "account a", "needs `host`"],
        ),
        (
            "lines:\n  - {id: a, engine: sim/1}\n  - {id: a, engine: sim/2}\n",
            ["apid.yml:3", "`a`", "once"],
        ),
        ("lines:\n  - {id: a, engine: sim/1, extension: \"600\"}\n", ["apid.yml:2", "600", "once"]),
        ("lines:\n  - {id: a, engine: rtp/1}\n", ["apid.yml:2", "sip.accounts", "sim/"]),
        ("api:\n  port: 1\n  port: 2\n", ["apid.yml:3", "port", ""]),
        ("security:\n  compat_allow: [lan]\n", ["apid.yml:2", "lan", "ADDRESS/BITS"]),
    ] {
        let error = parse(text).expect_err(text);
        for part in expected {
            assert!(error.contains(part), "{text}\nsays: {error}\nwithout: {part}");
        }
    }
}

#[test]
fn an_extension_needs_no_quotes() {
    let config = parse("lines:\n  - {id: 1, engine: sim/1, extension: 101}\n").unwrap();
    assert_eq!(config.lines[0].extension.as_ref().unwrap().value.as_str(), "101");
}

#[test]
fn others_are_kept_out_while_secrets_are_samples() {
    let mut config = Config::demonstration();
    config.api.host = "0.0.0.0".parse().unwrap();
    let error = config.check_exposure(false).unwrap_err().to_string();
    assert!(error.contains("token create"), "{error}");
    let error = config.check_exposure(true).unwrap_err().to_string();
    assert!(error.contains("phone1") && error.contains("sample secret"), "{error}");
    config.sip.accounts.clear();
    assert!(config.check_exposure(true).is_ok());
    config.api.host = "127.0.0.1".parse().unwrap();
    config.sip.host = "192.168.1.2".parse().unwrap();
    assert!(config.check_exposure(false).is_ok(), "SIP alone needs no token");
}

#[test]
fn others_are_kept_out_of_ami_while_its_secret_is_a_sample() {
    let mut config = Config::demonstration();
    assert_eq!(config.ami.users[0].user.value.as_str(), "manager");
    config.ami.host = "0.0.0.0".parse().unwrap();
    let error = config.check_exposure(true).unwrap_err().to_string();
    assert!(error.contains("ami.host") && error.contains("manager"), "{error}");
    config.ami.users[0].secret = Some(super::Secret::of("bd0a8f1e"));
    assert!(config.check_exposure(true).is_ok());
}

#[test]
fn no_password_is_in_what_is_printed() {
    assert!(!format!("{:?}", Config::demonstration()).contains("\"secret\""));
}

#[test]
fn a_certificate_that_cannot_be_used_is_refused_with_its_line() {
    let refused = |text: &str| parse(text).unwrap_err();
    let error = refused("sip:\n  tls:\n    certificate: tipring.pem\n    key: /etc/tipring.key\n");
    assert!(error.contains(":3:") && error.contains("no absolute path"), "{error}");
    let error = refused("ami:\n  tls: {certificate: /nowhere/a.pem, key: /nowhere/a.key}\n");
    assert!(error.contains(":2:") && error.contains("/nowhere/a.pem: No such file"), "{error}");
    let error = refused("sip: {wss_port: 5063}\n");
    assert!(error.contains("needs a certificate: `sip.tls`"), "{error}");
}
