//! A log file that is rotated by the clock: `apid.log` is written as `apid.log.2026-11-21`, each
//! hour as `apid.log.2026-11-21-14`, and with no rotation as `apid.log`. The newest so many are
//! kept. Days and hours are UTC, so that no summer time repeats an hour.
//!
//! The name of a file says which period it holds, so a process that is started again goes on in
//! the file it left, and nothing is ever renamed or overwritten.

use crate::settings::{Retention, Rotation};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use time::OffsetDateTime;

/// Owner writes, group reads: lines name who called whom.
const MODE: u32 = 0o640;

/// Why a log file cannot be written. Its text names the file.
#[derive(Debug)]
pub struct OpenError {
    path: PathBuf,
    cause: io::Error,
}

impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { path, cause } = self;
        write!(f, "{}: the log cannot be written there: {cause}", path.display())
    }
}

impl std::error::Error for OpenError {}

/// See the module. Each call of [`Write::write`] is one line, which is never divided.
#[derive(Debug)]
pub struct RotatedFile {
    folder: PathBuf,
    name: String,
    rotation: Rotation,
    keep: Retention,
    period: String,
    file: File,
}

impl RotatedFile {
    /// Opens the file of the period in which `now` is, makes its folder where there is none, and
    /// removes files that are too many.
    ///
    /// # Errors
    /// The folder cannot be made, or no file be written in it.
    pub fn open(
        path: &Path,
        rotation: Rotation,
        keep: Retention,
        now: SystemTime,
    ) -> Result<Self, OpenError> {
        let refuse = |cause| OpenError { path: path.to_owned(), cause };
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(refuse(io::ErrorKind::IsADirectory.into()));
        };
        let name = name.to_string_lossy().into_owned();
        let period = period(rotation, now);
        fs::create_dir_all(folder).map_err(refuse)?;
        let file = open(folder, &name, &period).map_err(refuse)?;
        let folder = folder.to_owned();
        let file = Self { folder, name, rotation, keep, period, file };
        file.prune();
        Ok(file)
    }

    /// Appends one line at `now`, in the next file where a new period has begun.
    ///
    /// # Errors
    /// The disk is full, or gone.
    pub fn append(&mut self, line: &[u8], now: SystemTime) -> io::Result<()> {
        let period = period(self.rotation, now);
        if period != self.period {
            // Where the next file cannot be opened the last one is better than none.
            if let Ok(next) = open(&self.folder, &self.name, &period) {
                self.file = next;
                self.period = period;
                self.prune();
            }
        }
        self.file.write_all(line)
    }

    /// Removes the oldest of the files that this one's settings have made.
    fn prune(&self) {
        if self.rotation == Rotation::Never {
            return;
        }
        let mut own: Vec<String> = fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| self.is_own(name))
            .collect();
        // Dates sort as text does.
        own.sort_unstable();
        let too_many = own.len().saturating_sub(self.keep.files());
        for name in &own[..too_many] {
            // One that cannot be removed is tried again at the next rotation.
            let _ = fs::remove_file(self.folder.join(name));
        }
    }

    /// `NAME.2026-11-21` or `NAME.2026-11-21-14`, whichever rotation was set then; other files of
    /// that folder are not ours.
    fn is_own(&self, name: &str) -> bool {
        let period = name.strip_prefix(&self.name).and_then(|rest| rest.strip_prefix('.'));
        period.is_some_and(|period| {
            let dashes = [4, 7, 10];
            let right = |(at, c): (usize, char)| {
                if dashes.contains(&at) { c == '-' } else { c.is_ascii_digit() }
            };
            matches!(period.len(), 10 | 13) && period.chars().enumerate().all(right)
        })
    }
}

impl Write for RotatedFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.append(line, SystemTime::now())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// What distinguishes the files; empty where there is one only.
fn period(rotation: Rotation, now: SystemTime) -> String {
    let now = OffsetDateTime::from(now);
    match rotation {
        Rotation::Daily => now.date().to_string(),
        Rotation::Hourly => format!("{}-{:02}", now.date(), now.hour()),
        Rotation::Never => String::new(),
    }
}

fn open(folder: &Path, name: &str, period: &str) -> io::Result<File> {
    let name = if period.is_empty() { name.to_owned() } else { format!("{name}.{period}") };
    OpenOptions::new().append(true).create(true).mode(MODE).open(folder.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// 2026-11-21 14:59:59 UTC.
    fn before_three() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_273_199)
    }

    const HOUR: Duration = Duration::from_hours(1);

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("tipring-rotated-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            let mut names: Vec<String> =
                entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
            names.sort_unstable();
            names
        }

        fn read(&self, name: &str) -> String {
            fs::read_to_string(self.0.join(name)).unwrap()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn keep(files: u64) -> Retention {
        Retention::try_from(files).unwrap()
    }

    #[test]
    fn a_new_hour_begins_a_new_file_and_the_newest_are_kept() {
        let folder = Folder::new("hourly");
        let path = folder.0.join("e.log");
        let mut file = RotatedFile::open(&path, Rotation::Hourly, keep(2), before_three()).unwrap();
        for hour in 0..4 {
            let line = format!("{hour}\n");
            file.append(line.as_bytes(), before_three() + hour * HOUR).unwrap();
            file.append(line.as_bytes(), before_three() + hour * HOUR).unwrap();
        }
        assert_eq!(folder.names(), ["e.log.2026-11-21-16", "e.log.2026-11-21-17"]);
        assert_eq!(folder.read("e.log.2026-11-21-17"), "3\n3\n");
    }

    #[test]
    fn a_second_start_goes_on_in_the_same_file_and_leaves_what_is_not_its_own() {
        let folder = Folder::new("daily");
        let path = folder.0.join("e.log");
        let others = ["e.log", "e.log.2020-01-01.gz", "e.log.old", "e.log.2020-01-0x", "x.log"];
        for name in others.iter().chain(&["e.log.2020-01-01", "e.log.2020-01-02-03"]) {
            fs::write(folder.0.join(name), "old\n").unwrap();
        }
        for line in ["first\n", "second\n"] {
            let mut file =
                RotatedFile::open(&path, Rotation::Daily, keep(2), before_three()).unwrap();
            file.append(line.as_bytes(), before_three()).unwrap();
        }
        assert_eq!(folder.read("e.log.2026-11-21"), "first\nsecond\n");
        let mut left: Vec<&str> = others.to_vec();
        left.extend(["e.log.2020-01-02-03", "e.log.2026-11-21"]);
        left.sort_unstable();
        assert_eq!(folder.names(), left);
    }

    #[test]
    fn without_rotation_the_name_is_as_it_was_told() {
        let folder = Folder::new("never");
        let path = folder.0.join("deep/e.log");
        let mut file = RotatedFile::open(&path, Rotation::Never, keep(1), before_three()).unwrap();
        file.append(b"a\n", before_three()).unwrap();
        file.append(b"b\n", before_three() + 48 * HOUR).unwrap();
        assert_eq!(folder.read("deep/e.log"), "a\nb\n");
    }

    #[test]
    fn where_the_next_file_cannot_be_opened_the_last_one_is_written_on() {
        let folder = Folder::new("stuck");
        let path = folder.0.join("e.log");
        fs::create_dir(folder.0.join("e.log.2026-11-21-15")).unwrap();
        let mut file = RotatedFile::open(&path, Rotation::Hourly, keep(3), before_three()).unwrap();
        file.append(b"a\n", before_three() + HOUR).unwrap();
        assert_eq!(folder.read("e.log.2026-11-21-14"), "a\n");
    }

    #[test]
    fn a_file_that_cannot_be_is_named_with_its_reason() {
        for path in ["/proc/nowhere/e.log", "/dev/null/e.log"] {
            let opened =
                RotatedFile::open(Path::new(path), Rotation::Daily, keep(1), before_three());
            let text = opened.unwrap_err().to_string();
            assert!(text.starts_with(path) && text.contains("cannot be written"), "{text}");
        }
    }
}
