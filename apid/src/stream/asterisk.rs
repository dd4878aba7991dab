//! Asterisk's `chan_websocket`, as the channel that dials an application: raw frames in binary
//! messages, control by plain text or, with `control=json`, by JSON.
//!
//! Its queue is counted in frames of 20 ms: the application is asked to pause at 900, told to go on
//! below 800, and what comes beyond 1000 is dropped.

use super::dialect::{About, Act, Dialect, Heard, quoted};
use crate::audio_format;
use crate::control::Moment;
use crate::view::AudioFormat;
use serde_json::{Map, Value, json};
use std::collections::VecDeque;
use std::fmt::Write as _;

/// Frames at which the application is asked to pause.
const XOFF: usize = 900;
/// Frames below which it may go on.
const XON: usize = 800;
/// Frames that wait at most.
const FULL: usize = 1000;
/// Longest text that is looked at, octets.
const TEXT_MAX: usize = 128;
/// Marks that wait at most.
const MARKS_MAX: usize = 200;
/// Frames that are played at once where nothing played before, so that a late tick is not heard.
const LEAD: usize = 3;

/// What waits to be played.
enum Queued {
    Frame(Vec<i16>),
    /// An event that is told once everything before it was played.
    Told {
        event: &'static str,
        id: Option<String>,
    },
}

/// The form of control messages.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    Json,
}

/// Whether the application has taken the call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Due,
    Given,
}

/// Whether anything is played.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Playing {
    /// Nothing was played at the last tick.
    Idle,
    /// Something was.
    Going,
    /// The application has it wait.
    Paused,
}

/// One channel.
pub(super) struct Asterisk {
    about: About,
    format: AudioFormat,
    form: Form,
    queue: VecDeque<Queued>,
    frames: usize,
    /// Octets of an unfinished frame, while messages are being joined.
    partial: Vec<u8>,
    /// Messages are joined.
    buffering: bool,
    playing: Playing,
    /// The application was asked to pause.
    told_off: bool,
    report_drained: bool,
    answer: Answer,
}

impl Asterisk {
    /// `json` chooses the form of control; without `auto_answer` the application answers.
    pub(super) fn new(about: About, format: AudioFormat, json: bool, auto_answer: bool) -> Self {
        Self {
            about,
            format,
            form: if json { Form::Json } else { Form::Plain },
            queue: VecDeque::new(),
            frames: 0,
            partial: Vec::new(),
            buffering: false,
            playing: Playing::Idle,
            told_off: false,
            report_drained: false,
            answer: if auto_answer { Answer::Given } else { Answer::Due },
        }
    }

    fn channel_id(&self) -> String {
        format!("tipring-{}", self.about.call_id)
    }

    /// An event in the form that was chosen; `fields` in their order.
    fn event(&self, event: &str, fields: &[(&str, Value)]) -> Act {
        let own = [("channel_id", Value::from(self.channel_id()))];
        let has_own = fields.iter().any(|(name, _)| *name == "channel_id");
        let fields: Vec<_> = own.iter().filter(|_| !has_own).chain(fields).collect();
        if self.form == Form::Json {
            let mut message = Map::new();
            message.insert("event".to_owned(), event.into());
            for (name, value) in fields {
                message.insert((*name).to_owned(), value.clone());
            }
            return Act::Text(Value::Object(message).to_string());
        }
        let mut text = event.to_owned();
        for (name, value) in fields {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            // Writing to a string cannot fail.
            let _ = write!(text, " {name}:{value}");
        }
        Act::Text(text)
    }

    /// Bare in plain text, as these have no fields there.
    fn bare(&self, event: &str) -> Act {
        if self.form == Form::Json { self.event(event, &[]) } else { Act::Text(event.to_owned()) }
    }

    fn told(&self, event: &str, id: Option<&str>) -> Act {
        match (self.form, id) {
            (Form::Json, Some(id)) => self.event(event, &[("correlation_id", id.into())]),
            (Form::Json, None) => self.event(event, &[]),
            (Form::Plain, Some(id)) => Act::Text(format!("{event} {id}")),
            (Form::Plain, None) => Act::Text(event.to_owned()),
        }
    }

    fn format_name(&self) -> (&'static str, usize) {
        match self.format {
            AudioFormat::PcmS16le => ("slin", 320),
            AudioFormat::Pcmu => ("ulaw", 160),
            AudioFormat::Pcma => ("alaw", 160),
        }
    }

    fn audio(&mut self, octets: &[u8], out: &mut Vec<Act>) {
        self.partial.extend_from_slice(octets);
        let (_, length) = self.format_name();
        let whole = self.partial.len() / length * length;
        let frames: Vec<u8> = self.partial.drain(..whole).collect();
        let mut dropped = 0;
        for frame in frames.chunks_exact(length) {
            let frame = audio_format::decode(self.format, frame);
            if self.frames < FULL {
                self.queue.push_back(Queued::Frame(frame));
                self.frames += 1;
            } else {
                dropped += 1;
            }
        }
        if !self.buffering {
            self.partial.clear();
        }
        if dropped > 0 {
            out.push(Act::Ignored(format!("{dropped} frames beyond {FULL} that wait")));
        }
        if self.frames >= XOFF && !self.told_off {
            self.told_off = true;
            out.push(self.bare("MEDIA_XOFF"));
        }
    }

    /// 20 ms went by: the next frame is played.
    fn play(&mut self, out: &mut Vec<Act>) {
        self.tell_reached(out);
        let ahead = match self.playing {
            Playing::Paused => return,
            Playing::Going => 1,
            Playing::Idle => LEAD,
        };
        self.playing = Playing::Idle;
        for _ in 0..ahead {
            if self.frames == 0 {
                return;
            }
            let Some(Queued::Frame(frame)) = self.queue.pop_front() else { return };
            self.playing = Playing::Going;
            self.frames -= 1;
            out.push(Act::Speak(frame));
            self.tell_reached(out);
            if self.frames < XON && self.told_off {
                self.told_off = false;
                out.push(self.bare("MEDIA_XON"));
            }
            if self.frames == 0 && self.report_drained {
                self.report_drained = false;
                out.push(self.bare("QUEUE_DRAINED"));
            }
        }
    }

    fn tell_reached(&mut self, out: &mut Vec<Act>) {
        while let Some(Queued::Told { event, id }) = self.queue.front() {
            out.push(self.told(event, id.as_deref()));
            self.queue.pop_front();
        }
    }

    fn queue_event(&mut self, event: &'static str, id: Option<String>) -> Option<Act> {
        if self.queue.len() - self.frames >= MARKS_MAX {
            return Some(Act::Ignored(format!("more than {MARKS_MAX} marks that wait")));
        }
        self.queue.push_back(Queued::Told { event, id });
        None
    }

    fn command(&mut self, text: &str, out: &mut Vec<Act>) {
        if text.len() > TEXT_MAX {
            out.push(Act::Ignored(format!("text of more than {TEXT_MAX} octets")));
            return;
        }
        let (command, id) = if text.trim_start().starts_with('{') {
            let value: Value = serde_json::from_str(text).unwrap_or_default();
            let of = |name: &str| value[name].as_str().map(str::to_owned);
            (of("command").unwrap_or_default(), of("correlation_id"))
        } else {
            let (command, id) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
            (command.to_owned(), Some(id.trim().to_owned()).filter(|id| !id.is_empty()))
        };
        match command.as_str() {
            "ANSWER" if self.answer == Answer::Given => {}
            "ANSWER" => {
                self.answer = Answer::Given;
                out.push(Act::Join);
            }
            "HANGUP" => out.push(Act::HangUp),
            "START_MEDIA_BUFFERING" => self.buffering = true,
            "STOP_MEDIA_BUFFERING" => {
                self.buffering = false;
                self.partial.clear();
                out.extend(self.queue_event("MEDIA_BUFFERING_COMPLETED", id));
            }
            "MARK_MEDIA" => out.extend(self.queue_event("MEDIA_MARK_PROCESSED", id)),
            "FLUSH_MEDIA" => {
                // Marks that wait are dropped without a word.
                self.queue.clear();
                self.partial.clear();
                self.frames = 0;
                self.buffering = false;
                self.told_off = false;
                out.push(Act::Clear);
            }
            "GET_STATUS" => out.push(self.event(
                "STATUS",
                &[
                    ("queue_length", self.frames.into()),
                    ("xon_level", XON.into()),
                    ("xoff_level", XOFF.into()),
                    ("queue_full", (self.frames >= FULL).into()),
                    ("bulk_media", self.buffering.into()),
                    ("media_paused", (self.playing == Playing::Paused).into()),
                ],
            )),
            "REPORT_QUEUE_DRAINED" => self.report_drained = true,
            "PAUSE_MEDIA" => self.playing = Playing::Paused,
            "CONTINUE_MEDIA" if self.playing == Playing::Paused => self.playing = Playing::Idle,
            "CONTINUE_MEDIA" => {}
            _ => {
                let reason = format!("{} is no command", quoted(text));
                out.push(self.event("ERROR", &[("error_text", reason.clone().into())]));
                out.push(Act::Ignored(reason));
            }
        }
    }
}

impl Dialect for Asterisk {
    fn handle(&mut self, heard: Heard<'_>, _now: Moment, out: &mut Vec<Act>) {
        match heard {
            Heard::Opened => {
                let (format, octets) = self.format_name();
                let mut fields = vec![
                    ("connection_id", json!(self.about.session)),
                    ("channel", json!(format!("WebSocket/{}", self.about.line))),
                    ("channel_id", json!(self.channel_id())),
                    ("format", json!(format)),
                    ("optimal_frame_size", json!(octets)),
                    ("ptime", json!(20)),
                ];
                if self.form == Form::Json {
                    let About { caller, dialled, .. } = &self.about;
                    let variables = json!({"CALLERID(num)": caller, "EXTEN": dialled});
                    fields.push(("channel_variables", variables));
                }
                out.push(self.event("MEDIA_START", &fields));
                if self.answer == Answer::Given {
                    out.push(Act::Join);
                }
            }
            Heard::Frame(samples) => {
                let mut octets = Vec::with_capacity(2 * samples.len());
                audio_format::encode(self.format, samples, &mut octets);
                out.push(Act::Binary(octets));
                self.play(out);
            }
            Heard::Digit { digit, .. } => {
                let (digit, channel) = (digit.to_string().into(), self.channel_id().into());
                out.push(self.event("DTMF_END", &[("digit", digit), ("channel_id", channel)]));
            }
            Heard::Binary(octets) => self.audio(octets, out),
            Heard::Text(text) => self.command(text, out),
            Heard::Lost(_) | Heard::Mark { .. } | Heard::Cleared { .. } | Heard::Over(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::dialect::tests::{about, talk, texts};
    use super::*;

    fn channel(json: bool) -> Asterisk {
        Asterisk::new(about(), AudioFormat::Pcmu, json, true)
    }

    fn plain(acts: &[Act]) -> Vec<String> {
        let text = |act: &Act| match act {
            Act::Text(text) => Some(text.clone()),
            _ => None,
        };
        acts.iter().filter_map(text).collect()
    }

    fn tick(channel: &mut Asterisk) -> Vec<Act> {
        talk(channel, Heard::Frame(&[0; 160]))
    }

    #[test]
    fn it_starts_in_either_form() {
        let acts = talk(&mut channel(false), Heard::Opened);
        assert_eq!(
            plain(&acts),
            ["MEDIA_START connection_id:0123456789abcdef0123456789abcdef channel:WebSocket/1 \
              channel_id:tipring-1f format:ulaw optimal_frame_size:160 ptime:20"]
        );
        assert_eq!(acts[1], Act::Join);
        let acts = talk(&mut channel(true), Heard::Opened);
        let start = &texts(&acts)[0];
        assert_eq!((&start["event"], &start["ptime"]), (&json!("MEDIA_START"), &json!(20)));
        assert_eq!(start["channel_variables"]["EXTEN"], "700");
        let mut waits = Asterisk::new(about(), AudioFormat::Pcmu, false, false);
        assert_eq!(talk(&mut waits, Heard::Opened).len(), 1);
        assert_eq!(talk(&mut waits, Heard::Text("ANSWER")), [Act::Join]);
        assert!(talk(&mut waits, Heard::Text("ANSWER")).is_empty());
    }

    #[test]
    fn frames_are_played_one_a_tick_and_marks_told_behind_them() {
        let mut us = channel(false);
        assert!(talk(&mut us, Heard::Binary(&[0xff; 320])).is_empty());
        assert!(talk(&mut us, Heard::Text("MARK_MEDIA m1")).is_empty());
        assert!(talk(&mut us, Heard::Text("REPORT_QUEUE_DRAINED")).is_empty());
        let played = tick(&mut us);
        assert_eq!(played[1..3], [Act::Speak(vec![0; 160]), Act::Speak(vec![0; 160])]);
        assert_eq!(plain(&played), ["MEDIA_MARK_PROCESSED m1", "QUEUE_DRAINED"]);
        talk(&mut us, Heard::Binary(&vec![0xff; 160 * 6]));
        let spoken = |acts: &[Act]| acts.iter().filter(|a| matches!(a, Act::Speak(_))).count();
        let ticks: Vec<usize> = (0..6).map(|_| spoken(&tick(&mut us))).collect();
        // What is played right behind it needs no lead; then nothing is left.
        assert_eq!(ticks, [1, 1, 1, 1, 1, 1]);
        // A partial frame is kept while messages are joined only.
        for (joins, frames) in [(false, 0), (true, 1)] {
            let mut us = channel(true);
            if joins {
                talk(&mut us, Heard::Text("{\"command\":\"START_MEDIA_BUFFERING\"}"));
            }
            talk(&mut us, Heard::Binary(&[0xff; 100]));
            talk(&mut us, Heard::Binary(&[0xff; 100]));
            assert_eq!(us.frames, frames);
            let stop = "{\"command\":\"STOP_MEDIA_BUFFERING\",\"correlation_id\":\"abc\"}";
            talk(&mut us, Heard::Text(stop));
            let told = tick(&mut us);
            assert_eq!(
                texts(&told),
                [json!({"event": "MEDIA_BUFFERING_COMPLETED", "channel_id": "tipring-1f",
                    "correlation_id": "abc"})]
            );
        }
    }

    #[test]
    fn the_queue_has_its_levels_and_a_flush_forgets_marks() {
        let mut us = channel(false);
        assert_eq!(plain(&talk(&mut us, Heard::Binary(&vec![0xff; 160 * 950]))), ["MEDIA_XOFF"]);
        assert!(matches!(
            talk(&mut us, Heard::Binary(&vec![0xff; 160 * 60]))[..],
            [Act::Ignored(_)]
        ));
        let status = "STATUS channel_id:tipring-1f queue_length:1000 xon_level:800 xoff_level:900 \
                      queue_full:true bulk_media:false media_paused:false";
        assert_eq!(plain(&talk(&mut us, Heard::Text("GET_STATUS"))), [status]);
        talk(&mut us, Heard::Text("PAUSE_MEDIA"));
        assert_eq!(tick(&mut us).len(), 1, "nothing is played");
        talk(&mut us, Heard::Text("CONTINUE_MEDIA"));
        let told: Vec<usize> =
            (1..=300).filter(|_| plain(&tick(&mut us)).contains(&"MEDIA_XON".to_owned())).collect();
        assert_eq!(told, [199]);
        talk(&mut us, Heard::Text("MARK_MEDIA gone"));
        assert_eq!(talk(&mut us, Heard::Text("FLUSH_MEDIA")), [Act::Clear]);
        assert_eq!(tick(&mut us).len(), 1, "silence and no mark");
        let digit = Heard::Digit { digit: '5', duration_ms: 80 };
        assert_eq!(plain(&talk(&mut us, digit)), ["DTMF_END digit:5 channel_id:tipring-1f"]);
        assert_eq!(talk(&mut us, Heard::Text("HANGUP")), [Act::HangUp]);
    }

    #[test]
    fn what_is_no_command_is_told() {
        let long = "x".repeat(200);
        for wrong in ["SING", "{\"command\":5}", "{", ""] {
            let acts = talk(&mut channel(false), Heard::Text(wrong));
            assert!(plain(&acts)[0].starts_with("ERROR channel_id:"), "{wrong}");
        }
        let acts = talk(&mut channel(false), Heard::Text(&long));
        assert!(matches!(&acts[..], [Act::Ignored(_)]), "it is ignored, as Asterisk does");
    }
}
