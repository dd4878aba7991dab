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
    b.send(&scan, PHONE);
    assert!(matches!(b.done[..], [Action::Drop { .. }]));
}
