//! Any datagram is a request or is not; the agent answers one at most once for good, and what it
//! keeps stays bounded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use tipring_apid::sip::action::{Action, Actions};
use tipring_apid::sip::agent::{Agent, Surroundings};
use tipring_apid::sip::call::TxId;
use tipring_apid::sip::crypto::Encryption;
use tipring_apid::sip::digest::Algorithm;
use tipring_apid::sip::message::{Peer, Request, Transport};
use tipring_apid::sip::saved::Saved;
use tipring_apid::sip::settings::{AccountKind, AccountSettings, Password, SipSettings};
use tipring_apid::sip::usage::Allowance;

fn agent() -> Agent {
    let here = "10.0.0.1:5060".parse().unwrap();
    let mut settings = SipSettings::new(here, "/nowhere".into());
    let registered = AccountKind::Registered {
        password: Password::Plain("secret".into()),
        algorithms: vec![Algorithm::Sha256, Algorithm::Md5],
    };
    // One needs no proof, so that its requests reach the rules of calls.
    let fixed = AccountKind::Fixed {
        address: "10.0.0.5:5062".parse().unwrap(),
        transport: Transport::Udp,
        user: "ata".into(),
        credentials: None,
        algorithms: vec![Algorithm::Md5],
    };
    settings.accounts = [("phone2", registered), ("fixed", fixed)]
        .map(|(id, kind)| {
            let allowance = Allowance::default();
            AccountSettings { id: id.into(), kind, allowance, encryption: Encryption::default(), trace: false }
        })
        .into();
    let (mut random, mut txs) = (0_u64, 1_000_000);
    let around = Surroundings {
        here: Box::new(move |_| here),
        random: Box::new(move || {
            random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
            random
        }),
        new_tx: Box::new(move || {
            txs += 1;
            TxId(txs)
        }),
    };
    Agent::new(&settings, Saved::default(), [7; 32], around)
}

thread_local! {
    static STATE: RefCell<(Agent, u64)> = RefCell::new((agent(), 1));
}

fuzz_target!(|octets: &[u8]| {
    let Some(request) = Request::from_wire(octets) else { return };
    STATE.with_borrow_mut(|(agent, tx)| {
        *tx += 1;
        let source =
            Peer { transport: Transport::Udp, address: "10.0.0.5:5062".parse().unwrap() };
        let now_ms = 1_800_000_000_000 + *tx * 50;
        let mut out = Actions::default();
        agent.handle_request(TxId(*tx), &request, source, now_ms, &mut out);
        let final_to_it = |action: &Action| match action {
            Action::Respond { tx: of, response } | Action::RespondOnce { tx: of, response } => {
                of.0 == *tx && response.status >= 200
            }
            Action::Drop { .. } => true,
            _ => false,
        };
        assert!(out.drain().filter(final_to_it).count() <= 1);
        let mut out = Actions::default();
        agent.handle_time(now_ms, &mut out);
        assert!(agent.live().len() <= 2 && agent.bindings().len() <= 2);
    });
});
