//! What is known of recordings; their audio is in files.

use super::ms_of;
use crate::view::{Recording, RecordingState, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Result, ToSql, params};

/// Which recordings.
#[derive(Clone, Debug, Default)]
pub struct RecordingQuery {
    /// Of one of these lines only; `None` is any.
    pub lines: Option<Vec<String>>,
    /// Of this call.
    pub call_id: Option<String>,
    /// Older than this one.
    pub before: Option<String>,
    /// So many at most.
    pub limit: u32,
}

/// Keeps a new one.
///
/// # Errors
/// Of SQLite.
pub fn insert_recording(connection: &mut Connection, recording: &Recording) -> Result<()> {
    let sql = "INSERT INTO recordings (id, line, call_id, running, started_ms, body)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let values = params![
        recording.id,
        recording.line,
        recording.call_id,
        recording.state == RecordingState::Recording,
        ms_of(recording.started_at),
        body_of(recording)
    ];
    connection.execute(sql, values).map(|_| ())
}

/// Writes down how it is now.
///
/// # Errors
/// Of SQLite.
pub fn update_recording(connection: &mut Connection, recording: &Recording) -> Result<()> {
    let running = recording.state == RecordingState::Recording;
    let sql = "UPDATE recordings SET running = ?2, body = ?3 WHERE id = ?1";
    connection.execute(sql, params![recording.id, running, body_of(recording)]).map(|_| ())
}

/// One.
///
/// # Errors
/// Of SQLite.
pub fn find_recording(connection: &mut Connection, id: &str) -> Result<Option<Recording>> {
    let sql = "SELECT body FROM recordings WHERE id = ?1";
    let body: Option<String> = connection.query_row(sql, [id], |row| row.get(0)).optional()?;
    Ok(body.and_then(|body| parsed(&body)))
}

/// Those that fit, newest first.
///
/// # Errors
/// Of SQLite.
pub fn list_recordings(
    connection: &mut Connection,
    query: &RecordingQuery,
) -> Result<Vec<Recording>> {
    let mut sql = "SELECT body FROM recordings WHERE 1".to_owned();
    let mut values: Vec<Box<dyn ToSql>> = Vec::new();
    if let Some(lines) = &query.lines {
        let marks = vec!["?"; lines.len()].join(",");
        sql += " AND line IN (";
        sql += &marks;
        sql += ")";
        values.extend(lines.iter().map(|line| Box::new(line.clone()) as Box<dyn ToSql>));
    }
    if let Some(call) = &query.call_id {
        sql += " AND call_id = ?";
        values.push(Box::new(call.clone()));
    }
    if let Some(before) = &query.before {
        sql += " AND sequence < (SELECT sequence FROM recordings WHERE id = ?)";
        values.push(Box::new(before.clone()));
    }
    sql += " ORDER BY sequence DESC LIMIT ?";
    values.push(Box::new(query.limit));
    select(connection, &sql, &values)
}

/// Those that run, or do not.
///
/// # Errors
/// Of SQLite.
pub fn recordings_in(connection: &mut Connection, running: bool) -> Result<Vec<Recording>> {
    let sql = "SELECT body FROM recordings WHERE running = ? ORDER BY sequence";
    select(connection, sql, &[Box::new(running)])
}

/// Those begun before `oldest` that do not run.
///
/// # Errors
/// Of SQLite.
pub fn recordings_older_than(
    connection: &mut Connection,
    oldest: Timestamp,
) -> Result<Vec<Recording>> {
    let sql = "SELECT body FROM recordings WHERE NOT running AND started_ms < ?";
    select(connection, sql, &[Box::new(ms_of(oldest))])
}

/// Forgets one.
///
/// # Errors
/// Of SQLite.
pub fn delete_recording(connection: &mut Connection, id: &str) -> Result<()> {
    connection.execute("DELETE FROM recordings WHERE id = ?1", [id]).map(|_| ())
}

fn select(
    connection: &mut Connection,
    sql: &str,
    values: &[Box<dyn ToSql>],
) -> Result<Vec<Recording>> {
    let mut statement = connection.prepare(sql)?;
    let values = rusqlite::params_from_iter(values.iter().map(AsRef::as_ref));
    let rows = statement.query_map(values, |row| row.get::<_, String>(0))?;
    Ok(rows.collect::<Result<Vec<String>>>()?.iter().filter_map(|body| parsed(body)).collect())
}

fn body_of(recording: &Recording) -> String {
    serde_json::to_string(recording).expect("a recording has nothing that JSON has not")
}

fn parsed(body: &str) -> Option<Recording> {
    let parsed = serde_json::from_str(body);
    parsed.inspect_err(|error| tracing::error!("a recording cannot be read: {error}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::RecordDirection;

    fn recording(id: &str, line: &str) -> Recording {
        Recording {
            id: id.to_owned(),
            line: line.to_owned(),
            call_id: Some(format!("call-{line}")),
            direction: RecordDirection::Both,
            state: RecordingState::Recording,
            cause: None,
            digit: None,
            started_at: Timestamp(std::time::SystemTime::UNIX_EPOCH),
            ended_at: None,
            duration_ms: 0,
            octets: 44,
        }
    }

    #[test]
    fn recordings_are_listed_changed_and_forgotten() {
        let mut connection = Connection::open_in_memory().unwrap();
        super::super::prepare(&mut connection).unwrap();
        for (id, line) in [("a", "1"), ("b", "2"), ("c", "1")] {
            insert_recording(&mut connection, &recording(id, line)).unwrap();
        }
        let ids = |connection: &mut Connection, query: RecordingQuery| -> Vec<String> {
            let found = list_recordings(connection, &RecordingQuery { limit: 9, ..query }).unwrap();
            found.into_iter().map(|found| found.id).collect()
        };
        let mine = RecordingQuery { lines: Some(vec!["1".to_owned()]), ..Default::default() };
        assert_eq!(ids(&mut connection, mine.clone()), ["c", "a"]);
        let older = RecordingQuery { before: Some("c".to_owned()), ..Default::default() };
        assert_eq!(ids(&mut connection, older), ["b", "a"]);
        let of_call = RecordingQuery { call_id: Some("call-2".to_owned()), ..Default::default() };
        assert_eq!(ids(&mut connection, of_call), ["b"]);

        let ended = Recording { state: RecordingState::Finished, ..recording("a", "1") };
        update_recording(&mut connection, &ended).unwrap();
        let running: Vec<_> =
            recordings_in(&mut connection, true).unwrap().into_iter().map(|r| r.id).collect();
        assert_eq!(running, ["b", "c"]);
        assert_eq!(find_recording(&mut connection, "a").unwrap(), Some(ended));
        let far = Timestamp(std::time::SystemTime::now() + std::time::Duration::from_mins(1));
        assert_eq!(recordings_older_than(&mut connection, far).unwrap().len(), 1);
        delete_recording(&mut connection, "a").unwrap();
        assert_eq!(find_recording(&mut connection, "a").unwrap(), None);
        assert_eq!(ids(&mut connection, mine), ["c"]);
    }
}
