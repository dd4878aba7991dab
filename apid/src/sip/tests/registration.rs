//! Who may register, and what strangers learn.

use super::*;

#[test]
fn a_phone_registers_and_is_told_of_once() {
    let mut b = Bench::registered();
    assert!(b.done.contains(&Action::SaveBindings));
    let contact = format!("sip:phone1@{PHONE}");
    let came = Notice::Registration(RegistrationChange::Registered { contact });
    assert_eq!(b.notices(), [came]);
    b.send_proven(&register("phone1", 3));
    assert_eq!((b.statuses(), b.notices()), (vec![200], vec![]));
    b.now_ms += 60_000;
    let now_ms = b.now_ms;
    b.act(|agent, out| agent.handle_time(now_ms, out));
    assert_eq!(b.notices(), [Notice::Registration(RegistrationChange::Unregistered)]);
}

#[test]
fn nobody_learns_which_accounts_exist() {
    let mut b = Bench::new();
    for user in ["phone1", "nobody"] {
        b.send(&register(user, 1), PHONE);
        let response = b.response();
        assert_eq!(response.status, 401);
        let names: Vec<_> = response.headers.iter().map(|(n, _)| n.to_owned()).collect();
        assert_eq!(names, ["Via", "From", "To", "Call-ID", "CSeq", "WWW-Authenticate"]);
        let challenge = response.headers.get("WWW-Authenticate").unwrap().to_owned();
        let wrong = digest::answer(&[&challenge], user, "guess", "REGISTER", "sip:tipring", "c", 1);
        let text = register(user, 2)
            .replace("Call-ID", &format!("Authorization: {}\r\nCall-ID", wrong.unwrap()));
        b.send(&text, PHONE);
        assert_eq!(b.statuses(), [401]);
        assert!(!b.response().headers.get("WWW-Authenticate").unwrap().contains("stale"));
        assert!(matches!(b.done[0], Action::RespondOnce { .. } | Action::Tell { .. }));
    }
    // One account's proof registers no other.
    b.send_proven(&register("phone2", 5));
    assert_eq!(b.statuses(), [403]);
}

#[test]
fn strangers_get_little_and_scanners_nothing() {
    let mut b = Bench::new();
    let mut answered = 0;
    for cseq in 0..200 {
        b.send(&register("x", cseq), "203.0.113.7:5060");
        answered += b.statuses().len();
    }
    assert_eq!(answered, 60);
    let scan = register("x", 1).replace("Call-ID", "User-Agent: friendly-scanner\r\nCall-ID");
    for (text, from) in [(&*scan, PHONE), (&register("x", 2), PHONE)] {
        b.send(text, from);
        assert!(matches!(b.done[..], [Action::Drop { .. }]), "banned: {:?}", b.done);
    }
    let who_is_there = in_dialog("OPTIONS", 1, "x", "").replace(";tag=x", "");
    b.send(&who_is_there, "203.0.113.8:5060");
    assert!(matches!(b.done[..], [Action::Drop { .. }]), "not told that we are here");
}

#[test]
fn a_stranger_who_guesses_is_banned_and_a_phone_in_its_call_is_not() {
    let (mut b, tag) = Bench::in_call();
    for (from, banned) in [("203.0.113.9:5060", true), (PHONE, false)] {
        for guess in 0..12 {
            b.now_ms += 5000;
            b.send(&register("phone2", guess), from);
            if b.statuses().is_empty() {
                break;
            }
            let challenge = b.response().headers.get("WWW-Authenticate").unwrap().to_owned();
            let wrong = format!("guess{guess}");
            let proof =
                digest::answer(&[&challenge], "phone2", &wrong, "REGISTER", "sip:tipring", "c", 1);
            let text = register("phone2", guess)
                .replace("Call-ID", &format!("Authorization: {}\r\nCall-ID", proof.unwrap()));
            b.send(&text, from);
        }
        b.send(&register("phone2", 50), from);
        assert_eq!(b.statuses().is_empty(), banned, "{from}");
    }
    let address = "203.0.113.9".parse().unwrap();
    let now_ms = b.now_ms;
    assert_eq!(b.agent.defence_mut().bans().list(now_ms).len(), 1);
    b.send(&in_dialog("OPTIONS", 11, &tag, ""), PHONE);
    assert_eq!((b.statuses(), b.agent.live()), (vec![200], vec!["phone1".to_owned()]));
    assert!(b.agent.defence_mut().lift(address));
    b.send(&register("phone2", 60), "203.0.113.9:5060");
    assert_eq!(b.statuses(), [401]);
}

#[test]
fn nobody_is_offered_what_somebody_is_offered() {
    let mut settings = settings();
    let with = |password: &str, algorithms: &[Algorithm]| AccountKind::Registered {
        password: Password::Plain(password.into()),
        algorithms: algorithms.to_vec(),
    };
    let orders =
        [&[Algorithm::Sha256, Algorithm::Md5][..], &[Algorithm::Md5], &[Algorithm::Sha256]];
    settings.accounts = (0..9)
        .map(|i| AccountSettings {
            id: format!("p{i}"),
            kind: with("x", orders[i % 3]),
            allowance: Allowance::default(),
            encryption: Encryption::default(),
            trace: false,
        })
        .collect();
    let offered = |b: &mut Bench, user: &str, cseq: u32| {
        b.send(&register(user, cseq), PHONE);
        let tokens = b.response().headers.all("WWW-Authenticate").map(|challenge| {
            let (_, rest) = challenge.split_once("algorithm=").unwrap();
            rest.split(',').next().unwrap().to_owned()
        });
        tokens.collect::<Vec<_>>()
    };
    let mut b = Bench { agent: agent(&settings, Saved::default()), ..Bench::new() };
    assert_eq!(offered(&mut b, "p0", 1), ["SHA-256", "MD5"]);
    let nobodies: Vec<_> = (0..40).map(|i| offered(&mut b, &format!("nobody{i}"), i)).collect();
    for known in ["p0", "p1", "p2"] {
        assert!(nobodies.contains(&offered(&mut b, known, 50)), "{known}");
        b.now_ms += 1000;
    }
    // The same after a restart.
    let mut b = Bench { agent: agent(&settings, Saved::default()), ..Bench::new() };
    for (i, before) in nobodies.iter().enumerate() {
        assert_eq!(&offered(&mut b, &format!("nobody{i}"), i as u32), before);
    }
}

#[test]
fn a_password_may_be_given_as_its_hashes() {
    let mut settings = settings();
    let ha1 = [Algorithm::Sha256, Algorithm::Md5]
        .map(|a| (a, a.ha1("phone1", "tipring", "secret")))
        .to_vec();
    settings.accounts[0].kind = AccountKind::Registered {
        password: Password::Hashes(ha1),
        algorithms: vec![Algorithm::Md5],
    };
    let mut b = Bench { agent: agent(&settings, Saved::default()), ..Bench::new() };
    b.send_proven(&register("phone1", 1));
    assert_eq!(b.statuses(), [200]);
}

#[test]
fn the_way_through_a_translator_is_kept_open() {
    let mut settings = settings();
    let kind = settings.accounts[0].kind.clone();
    settings.accounts.extend((0..40).map(|i| AccountSettings {
        id: format!("far{i:02}"),
        kind: kind.clone(),
        allowance: Allowance::default(),
        encryption: Encryption::default(),
        trace: false,
    }));
    let mut saved = Saved::default();
    for account in &settings.accounts[3..] {
        let binding = serde_json::json!([{
            "contact": "sip:p@192.168.77.5:5060", "instance": null, "call_id": "c", "cseq": 1,
            "source": {"transport": "udp", "address": "203.0.113.9:40000"},
            "expires_ms": T0 + 60_000, "refreshed_ms": T0, "user_agent": null,
        }]);
        saved.bindings.insert(account.id.clone(), serde_json::from_value(binding).unwrap());
    }
    let mut b = Bench { agent: agent(&settings, saved), ..Bench::new() };
    let mut asked = Vec::new();
    while let Some(at_ms) = b.agent.next_time_ms().filter(|at_ms| *at_ms < T0 + 50_000) {
        b.now_ms = at_ms.max(b.now_ms);
        let now_ms = b.now_ms;
        b.act(|agent, out| agent.handle_time(now_ms, out));
        for (tx, options, to) in b.sent() {
            assert_eq!((options.method.as_str(), to), ("OPTIONS", udp("203.0.113.9:40000")));
            asked.push(now_ms - T0);
            b.reply(tx, &options.response(200, None));
        }
    }
    assert_eq!(asked.len(), 80, "each of 40 twice");
    assert!(asked[39] <= 400 && asked[40] == 25_000, "{asked:?}");
    // Nobody behind a translator, nothing to do.
    assert_eq!(Bench::registered().agent.next_time_ms(), Some(T0 + 60_000));
}
