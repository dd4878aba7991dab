//! Audio streams that are started by one request and taken up by another.
#![expect(clippy::unused_async, reason = "surfaces need not know which of these wait")]

use super::access::need;
use super::audio::{Stop, TapEnd};
use super::refused::invalid;
use super::{AudioTap, Control, Refused, lock};
use crate::auth::{Caller, Scope};
use crate::hub::NoticeBody;
use crate::view::{Stream, StreamRequest, Timestamp};
use std::time::SystemTime;

/// Streams at once.
const STREAMS: usize = 256;

/// All streams, oldest first.
#[derive(Debug, Default)]
pub(super) struct Streams {
    last: u64,
    running: Vec<(Stream, Stop)>,
}

impl Control {
    /// Starts a stream and says so to everybody; it ends by [`Control::stop_stream`]. Needs
    /// `audio`.
    ///
    /// # Errors
    /// `Invalid`, `NoSuchLine`, `EngineAway`, `Full` beyond 256 streams, `NotBuilt` for RTP.
    pub async fn start_stream(
        &self,
        caller: &Caller,
        request: StreamRequest,
    ) -> Result<Stream, Refused> {
        need(caller, Scope::Audio)?;
        if request.rtp.is_some() {
            return Err(Refused::NotBuilt("streams over RTP"));
        }
        let chunk_ms = request.chunk_ms.unwrap_or(20);
        if !(10..=200).contains(&chunk_ms) {
            return Err(invalid("chunk_ms", "allowed is 10 to 200"));
        }
        let line = match request.line {
            Some(line) => line,
            None => self.first_line(caller)?,
        };
        let entry = self.entry(caller, &line)?;
        self.attach_entry(entry)?;
        let stream = {
            let mut streams = lock(&self.0.streams);
            if streams.running.len() >= STREAMS {
                return Err(Refused::Full { what: "streams" });
            }
            // One that an earlier apid started must not be taken for this one.
            let micros = SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .map_or(0, |age| age.as_micros() as u64);
            streams.last = micros.max(streams.last + 1);
            let stream_id = format!("{:x}", streams.last);
            let stream = Stream {
                ws_url: format!("/v1/streams/{stream_id}"),
                stream_id,
                line: line.clone(),
                format: request.format.unwrap_or_default(),
                direction: request.direction.unwrap_or_default(),
                chunk_ms,
                rtp: None,
                started_at: Timestamp::now(),
            };
            streams.running.push((stream.clone(), Stop::new(None)));
            stream
        };
        let stream_id = stream.stream_id.clone();
        self.0.hub.publish(Some(&line), None, NoticeBody::AudioStart { stream_id });
        Ok(stream)
    }

    /// Ends a stream: the named one, or the one started last. Needs `audio`.
    ///
    /// # Errors
    /// `NoSuchStream`.
    pub async fn stop_stream(
        &self,
        caller: &Caller,
        stream_id: Option<&str>,
    ) -> Result<Stream, Refused> {
        need(caller, Scope::Audio)?;
        let (stream, stop) = {
            let mut streams = lock(&self.0.streams);
            let index = streams.running.iter().rposition(|(stream, _)| {
                caller.sees(&stream.line) && stream_id.is_none_or(|id| stream.stream_id == id)
            });
            streams.running.remove(index.ok_or(Refused::NoSuchStream)?)
        };
        stop.send_replace(Some(TapEnd::Stopped));
        let stream_id = stream.stream_id.clone();
        self.0.hub.publish(Some(&stream.line), None, NoticeBody::AudioStop { stream_id });
        Ok(stream)
    }

    /// Their audio is gone: ends the streams of a line, or all of them.
    pub(super) fn lose_streams(&self, line: Option<&str>, why: TapEnd) {
        let lost: Vec<(Stream, Stop)> = {
            let mut streams = lock(&self.0.streams);
            let of_it = |(stream, _): &mut (Stream, _)| line.is_none_or(|line| stream.line == line);
            streams.running.extract_if(.., of_it).collect()
        };
        for (stream, stop) in lost {
            stop.send_replace(Some(why));
            let (line, stream_id) = (Some(stream.line.as_str()), stream.stream_id.clone());
            let message = format!("stream {stream_id} stopped: {}", why.text());
            self.report_error(line, "stream_stopped", &message);
            self.0.hub.publish(line, None, NoticeBody::AudioStop { stream_id });
        }
    }

    /// One stream. Needs `audio`.
    ///
    /// # Errors
    /// `NoSuchStream`.
    pub fn stream(&self, caller: &Caller, stream_id: &str) -> Result<Stream, Refused> {
        self.find_stream(caller, stream_id).map(|(stream, _)| stream)
    }

    fn find_stream(&self, caller: &Caller, stream_id: &str) -> Result<(Stream, Stop), Refused> {
        need(caller, Scope::Audio)?;
        let streams = lock(&self.0.streams);
        let mut running = streams.running.iter();
        let found = running.find(|(s, _)| s.stream_id == stream_id && caller.sees(&s.line));
        found.cloned().ok_or(Refused::NoSuchStream)
    }

    /// Streams of lines the caller may see, oldest first. Needs `audio`.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn streams(&self, caller: &Caller) -> Result<Vec<Stream>, Refused> {
        need(caller, Scope::Audio)?;
        let streams = lock(&self.0.streams);
        let running = streams.running.iter().filter(|(stream, _)| caller.sees(&stream.line));
        Ok(running.map(|(stream, _)| stream.clone()).collect())
    }

    /// Takes up a stream's audio; any number may. It is `Gone` when the stream ends. Needs
    /// `audio`.
    ///
    /// # Errors
    /// `NoSuchStream`, and as [`Control::audio_tap`].
    pub fn stream_tap(
        &self,
        caller: &Caller,
        stream_id: &str,
        remote: &str,
    ) -> Result<AudioTap, Refused> {
        let (stream, stop) = self.find_stream(caller, stream_id)?;
        self.tap_until(caller, &stream.line, stream.direction, remote, stop)
    }
}
