//! Call records.

use super::ms_of;
use crate::view::{CallRecordView, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Result, ToSql, params};

/// Which calls.
#[derive(Clone, Debug, Default)]
pub struct CallQuery {
    /// With one of these lines only; `None` is any.
    pub lines: Option<Vec<String>>,
    /// In an end's address.
    pub text: Option<String>,
    /// Begun then or later.
    pub since: Option<Timestamp>,
    /// Begun before.
    pub until: Option<Timestamp>,
    /// Older than this one.
    pub before: Option<u64>,
    /// So many at most.
    pub limit: u32,
}

/// Keeps a call that is over.
///
/// # Errors
/// Of SQLite.
pub fn insert_call(connection: &mut Connection, number: u64, call: &CallRecordView) -> Result<()> {
    let body = serde_json::to_string(call).expect("a call has nothing that JSON has not");
    let transaction = connection.transaction()?;
    let ended = call.call.ended_at.unwrap_or(call.call.started_at);
    let cause = call.call.cause.as_ref().map_or(0, |cause| cause.code);
    transaction.execute(
        "INSERT OR REPLACE INTO calls VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            number as i64,
            ms_of(call.call.started_at),
            ms_of(ended),
            call.call.from,
            call.call.to,
            cause,
            body
        ],
    )?;
    for line in call.call.legs.iter().filter_map(|leg| leg.line.as_ref()) {
        let values = params![number as i64, line];
        transaction.execute("INSERT OR IGNORE INTO call_lines VALUES (?1, ?2)", values)?;
    }
    transaction.commit()
}

/// Those that fit, newest first.
///
/// # Errors
/// Of SQLite.
pub fn list_calls(connection: &mut Connection, query: &CallQuery) -> Result<Vec<CallRecordView>> {
    let mut sql = "SELECT body FROM calls WHERE 1".to_owned();
    let mut values: Vec<Box<dyn ToSql>> = Vec::new();
    if let Some(lines) = &query.lines {
        let marks = vec!["?"; lines.len()].join(",");
        sql += " AND number IN (SELECT number FROM call_lines WHERE line IN (";
        sql += &marks;
        sql += "))";
        values.extend(lines.iter().map(|line| Box::new(line.clone()) as Box<dyn ToSql>));
    }
    if let Some(text) = &query.text {
        sql += " AND (instr(lower(caller), ?) OR instr(lower(callee), ?))";
        let text = text.to_lowercase();
        values.push(Box::new(text.clone()));
        values.push(Box::new(text));
    }
    let bounds = [
        (" AND started_ms >= ?", query.since.map(ms_of)),
        (" AND started_ms < ?", query.until.map(ms_of)),
        (" AND number < ?", query.before.map(|number| number as i64)),
    ];
    for (condition, value) in bounds {
        if let Some(value) = value {
            sql += condition;
            values.push(Box::new(value));
        }
    }
    sql += " ORDER BY number DESC LIMIT ?";
    values.push(Box::new(query.limit));
    let mut statement = connection.prepare(&sql)?;
    let values = rusqlite::params_from_iter(values.iter().map(AsRef::as_ref));
    let rows = statement.query_map(values, |row| row.get::<_, String>(0))?;
    Ok(rows.collect::<Result<Vec<String>>>()?.iter().filter_map(|body| parsed(body)).collect())
}

/// One.
///
/// # Errors
/// Of SQLite.
pub fn find_call(connection: &mut Connection, number: u64) -> Result<Option<CallRecordView>> {
    let sql = "SELECT body FROM calls WHERE number = ?1";
    let body: Option<String> =
        connection.query_row(sql, [number as i64], |row| row.get(0)).optional()?;
    Ok(body.and_then(|body| parsed(&body)))
}

/// Forgets one.
///
/// # Errors
/// Of SQLite.
pub fn delete_call(connection: &mut Connection, number: u64) -> Result<()> {
    connection.execute("DELETE FROM calls WHERE number = ?1", [number as i64]).map(|_| ())
}

/// Forgets those begun before `oldest` and, of the others, all but the newest `keep`; tells how
/// many.
///
/// # Errors
/// Of SQLite.
pub fn prune_calls(
    connection: &mut Connection,
    oldest: Option<Timestamp>,
    keep: u64,
) -> Result<usize> {
    let mut gone = 0;
    if let Some(oldest) = oldest {
        let sql = "DELETE FROM calls WHERE started_ms < ?1";
        gone += connection.execute(sql, [ms_of(oldest)])?;
    }
    let sql = "DELETE FROM calls WHERE number <=
        (SELECT number FROM calls ORDER BY number DESC LIMIT 1 OFFSET ?1)";
    gone += connection.execute(sql, [keep as i64])?;
    Ok(gone)
}

fn parsed(body: &str) -> Option<CallRecordView> {
    let parsed = serde_json::from_str(body);
    parsed.inspect_err(|error| tracing::error!("a call record cannot be read: {error}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{Call, CallState, CauseView, Leg, LegKind, LegState};
    use std::time::{Duration, SystemTime};

    fn call(number: u64, line: &str, to: &str) -> CallRecordView {
        let at = Timestamp(SystemTime::UNIX_EPOCH + Duration::from_secs(number));
        let leg = Leg {
            kind: LegKind::Line,
            address: format!("line:{line}"),
            line: Some(line.to_owned()),
            state: LegState::Ended,
            cause: None,
            media: None,
        };
        CallRecordView {
            call: Call {
                id: format!("{number:x}"),
                state: CallState::Ended,
                from: format!("line:{line}"),
                to: to.to_owned(),
                legs: vec![leg],
                started_at: at,
                answered_at: None,
                ended_at: Some(at),
                cause: Some(CauseView { code: 16, text: String::new() }),
                media: None,
            },
            duration_ms: 0,
            talk_ms: 0,
        }
    }

    fn database() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        super::super::prepare(&mut connection).unwrap();
        for number in 1..=10 {
            let line = if number % 2 == 0 { "2" } else { "1" };
            let to = if number == 7 { "number:0815" } else { "line:9" };
            insert_call(&mut connection, number, &call(number, line, to)).unwrap();
        }
        connection
    }

    fn ids(connection: &mut Connection, query: &CallQuery) -> Vec<String> {
        let found = list_calls(connection, query).unwrap();
        found.into_iter().map(|found| found.call.id).collect()
    }

    #[test]
    fn calls_are_found_page_by_page_by_line_time_and_text() {
        let mut connection = database();
        let all = CallQuery { limit: 3, ..CallQuery::default() };
        assert_eq!(ids(&mut connection, &all), ["a", "9", "8"]);
        let next = CallQuery { before: Some(8), ..all.clone() };
        assert_eq!(ids(&mut connection, &next), ["7", "6", "5"]);
        let mine = CallQuery { lines: Some(vec!["2".to_owned()]), limit: 9, ..all.clone() };
        assert_eq!(ids(&mut connection, &mine), ["a", "8", "6", "4", "2"]);
        let nobodys = CallQuery { lines: Some(Vec::new()), ..all.clone() };
        assert!(ids(&mut connection, &nobodys).is_empty());
        let text = CallQuery { text: Some("081".to_owned()), ..all.clone() };
        assert_eq!(ids(&mut connection, &text), ["7"]);
        let second = |second| Some(Timestamp(SystemTime::UNIX_EPOCH + Duration::from_secs(second)));
        let between = CallQuery { since: second(4), until: second(6), ..all };
        assert_eq!(ids(&mut connection, &between), ["5", "4"]);
    }

    #[test]
    fn what_is_too_old_or_too_much_is_forgotten() {
        let mut connection = database();
        let oldest = Timestamp(SystemTime::UNIX_EPOCH + Duration::from_secs(3));
        assert_eq!(prune_calls(&mut connection, Some(oldest), 5).unwrap(), 5);
        let all = CallQuery { limit: 99, ..CallQuery::default() };
        assert_eq!(ids(&mut connection, &all), ["a", "9", "8", "7", "6"]);
        delete_call(&mut connection, 10).unwrap();
        assert!(find_call(&mut connection, 10).unwrap().is_none());
        let lines: i64 =
            connection.query_row("SELECT count(*) FROM call_lines", [], |row| row.get(0)).unwrap();
        assert_eq!(lines, 4, "nothing of them is left");
    }
}
