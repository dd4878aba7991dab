//! What the logs of both processes share: the settings, which are the same keys in `engine.yml` and
//! `apid.yml`, and the file that is rotated and of which so many are kept. How a line is made is
//! each process's own.

mod rotated_file;
mod settings;
mod timestamp;

pub use rotated_file::{OpenError, RotatedFile};
pub use settings::{Format, Level, Logging, Output, Retention, Rotation};
pub use timestamp::timestamp;
