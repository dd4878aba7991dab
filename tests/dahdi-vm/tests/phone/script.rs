//! A telephone is answered by an AGI script, which systemd starts as somebody with next to nothing.

use crate::calls::dials;
use std::iter::zip;
use tipring_dahdi_vm::{Machine, System, Telephone};
use tipring_tests::wait::{GENEROUS, until_true};

/// Of `apid.yml`.
pub(crate) const APID_YML: &str =
    "agi: {scripts_socket: /run/tipring-agi.sock}\nextensions: /etc/tipring/extensions.conf\n";

/// Cause 21 tells that the script was heard.
const PLAN: &str = "[default]
exten => 414,1,AGI(hello.sh,one two)
same => n,GotoIf($[\"${GREETING}\" = \"hello\"]?greeted)
same => n,Hangup(16)
same => n(greeted),Hangup(21)";

/// What it can do besides goes to the journal.
const SCRIPT: &str = r#"#!/bin/sh
while read -r line && [ -n "$line" ]; do
    case $line in agi_extension:* | agi_arg_1:*) echo "was told $line" >&2 ;; esac
done
echo "runs as $(id -un)" >&2
can() { what=$1; shift; if "$@" >/dev/null 2>&1; then echo "can $what" >&2; else echo "cannot $what" >&2; fi; }
can 'write its own files' touch /tmp/mine
can 'make a socket' perl -MSocket -e 'socket(S, AF_INET, SOCK_STREAM, 0) or exit 1'
can 'read the settings' cat /etc/tipring/apid.yml
can 'see the state' ls /var/lib/tipring
can 'reach the engine' ls /run/tipring
can 'write beside itself' touch /etc/tipring/agi-bin/mine
can 'open a card' sh -c ': </dev/dahdi/channel'
echo 'SET VARIABLE GREETING hello'
read -r answer
echo "was answered $answer" >&2
"#;

/// Before apid starts: it reads its plan then.
pub(crate) fn plan(machine: &Machine) {
    machine.write("/etc/tipring/extensions.conf", PLAN);
}

pub(crate) fn answers(system: &System<'_>) {
    let System { machine, card, api, .. } = system;
    machine.write("/etc/tipring/agi-bin/hello.sh", SCRIPT);
    machine.run("chmod 755 /etc/tipring/agi-bin/hello.sh && systemctl start tipring-agi.socket");
    let mut phone = Telephone::on(machine, card, 1);
    dials(system, &mut phone, "p1", "414");
    until_true("a call that was greeted", GENEROUS, || {
        let calls = api.rest.get("/v1/calls").expect_json(200);
        let calls = calls["calls"].as_array().cloned().unwrap_or_default();
        calls.iter().any(|call| call["to"] == "app:414@default" && call["cause"]["code"] == 21)
    });
    phone.put_down();
    api.rest.line_becomes("p1", "on_hook");
    machine.run("systemctl stop tipring-agi.socket");
    let told = machine.run("journalctl -b -u 'tipring-agi@*' -o cat --no-pager");
    let said: Vec<&str> = told
        .lines()
        .filter(|line| ["runs ", "was ", "can"].iter().any(|begin| line.starts_with(begin)))
        .collect();
    let wanted = [
        "was told agi_extension: 414",
        "was told agi_arg_1: one two",
        "runs as tipring-agi",
        "can write its own files",
        "cannot make a socket",
        "cannot read the settings",
        "cannot see the state",
        "cannot reach the engine",
        "cannot write beside itself",
        "cannot open a card",
        "was answered 200 result=1",
    ];
    assert!(said.len() == wanted.len() && zip(&said, wanted).all(|(s, w)| *s == w), "{told}");
}
