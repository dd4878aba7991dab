//! Audio streams that are started by one request and taken up by another.

use super::{AudioTap, Control, Refused};
use crate::auth::Caller;
use crate::view::{Stream, StreamRequest};

impl Control {
    /// Starts a stream and says so to everybody; it ends by [`Control::stop_stream`]. Needs
    /// `audio`.
    ///
    /// # Errors
    /// `Invalid`, `NoSuchLine`, `Full` beyond 256 streams, `NotBuilt` for RTP.
    pub async fn start_stream(
        &self,
        _caller: &Caller,
        _request: StreamRequest,
    ) -> Result<Stream, Refused> {
        Err(Refused::EngineAway)
    }

    /// Ends a stream: the named one, or the one started last. Needs `audio`.
    ///
    /// # Errors
    /// `NoSuchStream`.
    pub async fn stop_stream(
        &self,
        _caller: &Caller,
        _stream_id: Option<&str>,
    ) -> Result<Stream, Refused> {
        Err(Refused::EngineAway)
    }

    /// One stream. Needs `audio`.
    ///
    /// # Errors
    /// `NoSuchStream`.
    pub fn stream(&self, _caller: &Caller, _stream_id: &str) -> Result<Stream, Refused> {
        Err(Refused::EngineAway)
    }

    /// Streams of lines the caller may see, oldest first. Needs `audio`.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn streams(&self, _caller: &Caller) -> Result<Vec<Stream>, Refused> {
        Err(Refused::EngineAway)
    }

    /// Takes up a stream's audio; any number may. It is `Gone` when the stream is stopped. Needs
    /// `audio`.
    ///
    /// # Errors
    /// `NoSuchStream`, and as [`Control::audio_tap`].
    pub fn stream_tap(
        &self,
        _caller: &Caller,
        _stream_id: &str,
        _remote: &str,
    ) -> Result<AudioTap, Refused> {
        Err(Refused::EngineAway)
    }
}
