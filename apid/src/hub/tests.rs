//! What listeners are promised.

use super::{Delivery, Filter, HELD, Hub, Listener, NoticeBody, QUEUE};
use crate::auth::Caller;

fn flash(n: u16) -> NoticeBody {
    NoticeBody::Flash { duration_ms: n }
}

fn everybody() -> Caller {
    Caller::everything("test")
}

fn drain(listener: &mut Listener) -> (u64, Vec<u64>) {
    let (mut missed, mut seqs) = (0, Vec::new());
    while let Some(delivery) = listener.try_next() {
        match delivery {
            Delivery::Lagged { missed: n } => missed += n,
            Delivery::Notice(notice) => seqs.push(notice.seq),
        }
    }
    (missed, seqs)
}

#[test]
fn a_slow_listener_is_told_its_loss_and_slows_nobody() {
    let hub = Hub::new();
    let mut slow = hub.listen(&everybody(), Filter::default(), None, "slow");
    let mut quick = hub.listen(&everybody(), Filter::default(), None, "quick");
    let total = QUEUE as u64 + 10;
    for n in 0..total {
        hub.publish(Some("1"), None, flash(n as u16));
        assert_eq!(drain(&mut quick).1.len(), 1);
    }
    assert_eq!(hub.clients()[0].missed, 10);
    assert_eq!(hub.clients()[0].queued, QUEUE);
    assert_eq!(slow.try_next(), Some(Delivery::Lagged { missed: 10 }));
    let (missed, seqs) = drain(&mut slow);
    assert_eq!((missed, seqs.len(), seqs[0]), (0, QUEUE, 11));
}

#[test]
fn since_replays_what_is_held_and_tells_what_is_not() {
    let hub = Hub::new();
    for n in 0..10 {
        hub.publish(None, None, flash(n));
    }
    let mut listener = hub.listen(&everybody(), Filter::default(), Some(7), "");
    assert_eq!(drain(&mut listener), (0, vec![8, 9, 10]));
    hub.publish(None, None, flash(0));
    assert_eq!(drain(&mut listener), (0, vec![11]));
    for n in 0..HELD {
        hub.publish(None, None, flash(n as u16));
    }
    let mut late = hub.listen(&everybody(), Filter::default(), Some(7), "");
    let (missed, seqs) = drain(&mut late);
    assert_eq!(missed + seqs.len() as u64, 11 + HELD as u64 - 7);
    let mut earlier_start = hub.listen(&everybody(), Filter::default(), Some(1_000_000), "");
    assert!(!drain(&mut earlier_start).1.is_empty());
}

#[test]
fn filters_and_callers_see_their_own() {
    let hub = Hub::new();
    let of_two = Caller { lines: Some(vec!["2".to_owned()]), ..everybody() };
    let mut limited = hub.listen(&of_two, Filter::default(), None, "");
    let filter = Filter { lines: vec!["1".to_owned()], types: vec!["speech_end".to_owned()] };
    let mut filtered = hub.listen(&everybody(), filter, None, "");
    hub.publish(Some("1"), None, flash(0));
    hub.publish(Some("2"), None, flash(0));
    let voice = NoticeBody::SpeechEnd {
        certainty: super::SpeechEnd::Final,
        last_sound_at: crate::view::Timestamp::now(),
    };
    hub.publish(Some("1"), None, voice.clone());
    hub.publish(Some("2"), None, voice);
    assert_eq!(drain(&mut limited), (0, vec![2, 4]));
    assert_eq!(drain(&mut filtered), (0, vec![3]));
}

#[test]
fn types_may_be_prefixes() {
    let known =
        |t: &str| Filter { lines: vec![], types: vec![t.to_owned()] }.unknown_type().is_none();
    assert!(known("dtmf") && known("call_*") && known("*"));
    assert!(!known("call") && !known("ring_*x"));
}

#[tokio::test]
async fn next_waits_for_what_comes() {
    let hub = Hub::new();
    let mut listener = hub.listen(&everybody(), Filter::default(), None, "");
    let other = hub.clone();
    let told = tokio::spawn(async move { listener.next().await });
    tokio::task::yield_now().await;
    other.publish(None, None, flash(1));
    assert!(matches!(told.await.unwrap(), Delivery::Notice(n) if n.seq == 1));
}

#[test]
fn a_listener_that_goes_is_forgotten() {
    let hub = Hub::new();
    drop(hub.listen(&everybody(), Filter::default(), None, ""));
    assert!(hub.clients().is_empty());
}
