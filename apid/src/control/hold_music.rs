//! Music for whoever waits: for a phone that somebody put on hold here, for whom a SIP phone put on
//! hold, which stops its own audio, and for whoever is left alone while the one it talked with asks, or answers, a third one.

use super::{Control, PlayOptions, PlaySource, lock};
use crate::auth::Caller;
use crate::hub::{Delivery, Filter, NoticeBody};
use crate::view::{Call, LegState};
use std::collections::HashMap;
use tipring_shm_proto::command::Phase;

/// What plays: of each call the lines that wait, with their playbacks.
type Playing = HashMap<String, HashMap<String, String>>;

/// In place of a call: whoever waits while the one it talked with talks with a third one.
const MEANWHILE: &str = "";

/// Starts and stops music of `class` as calls are held and taken off hold.
pub(super) async fn follow_hub(control: Control, class: String) {
    let caller = Caller::everything("hold music");
    let filter = Filter { lines: Vec::new(), types: vec!["call_*".to_owned()] };
    let mut listener = control.0.hub.listen(&caller, filter, None, "apid");
    let mut playing = Playing::new();
    loop {
        match listener.next().await {
            Delivery::Notice(notice) => {
                let held = match &notice.body {
                    NoticeBody::CallHeld { call } => Some((call, control.waiting_lines(call))),
                    NoticeBody::CallResumed { call }
                    | NoticeBody::CallConnected { call }
                    | NoticeBody::CallEnded { call, .. } => Some((call, Vec::new())),
                    _ => None,
                };
                if let Some((call, waiting)) = held {
                    control.change_music(&caller, &class, &call.id, &waiting, &mut playing).await;
                }
                // Whatever leaves somebody alone, or no more, begins, changes or ends a call.
                let waiting = lock(&control.0.switch).waiting_meanwhile();
                let key = MEANWHILE;
                control.change_music(&caller, &class, key, &waiting, &mut playing).await;
            }
            // Who was taken off hold meanwhile is not known: nobody is left with music.
            Delivery::Lagged { .. } => {
                for call in playing.keys().cloned().collect::<Vec<_>>() {
                    control.change_music(&caller, &class, &call, &[], &mut playing).await;
                }
            }
        }
    }
}

impl Control {
    /// The lines of a held call whose phones wait.
    fn waiting_lines(&self, call: &Call) -> Vec<String> {
        let is_held_here = |line: &str| {
            let engine = self.directory().get(line).and_then(|entry| entry.engine);
            let row = engine.and_then(|engine| self.0.link.row(engine));
            row.is_some_and(|row| row.phase == Some(Phase::Held))
        };
        let lines: Vec<(&str, bool)> = call
            .legs
            .iter()
            .filter_map(|leg| Some((leg.line.as_deref()?, leg.state == LegState::Held)))
            .collect();
        // A leg that is held, but not here, is a phone that holds the others.
        let holds = lines.iter().any(|(line, held)| *held && !is_held_here(line));
        let waits = |&(line, held): &(&str, bool)| if held { is_held_here(line) } else { holds };
        lines.into_iter().filter(waits).map(|(line, _)| line.to_owned()).collect()
    }

    /// Has those `waiting` hear music, and no others of the call.
    async fn change_music(
        &self,
        caller: &Caller,
        class: &str,
        call: &str,
        waiting: &[String],
        playing: &mut Playing,
    ) {
        let mut music = playing.remove(call).unwrap_or_default();
        let enough: Vec<String> =
            music.keys().filter(|line| !waiting.contains(line)).cloned().collect();
        for line in enough {
            if let Some(playback) = music.remove(&line) {
                // One that ended with its phone's call is stopped already.
                let _ = self.stop_playback(caller, &line, &playback).await;
            }
        }
        for line in waiting {
            if music.contains_key(line) {
                continue;
            }
            let options = PlayOptions { looped: true, ..PlayOptions::default() };
            let source = PlaySource::Music(class.to_owned());
            match self.play(caller, line, source, options).await {
                Ok(playback) => {
                    music.insert(line.clone(), playback);
                }
                Err(why) => tracing::debug!(line, call, "no music on hold: {why}"),
            }
        }
        if !music.is_empty() {
            playing.insert(call.to_owned(), music);
        }
    }
}
