//! What plans remember beyond a call: values by family and key, in memory and in the store.

use crate::channel::Memory;
use crate::store::{Store, StoreError};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Values that are kept.
const VALUES_MAX: usize = 10_000;
/// Octets of a family and a key together, and of a value.
const NAME_MAX: usize = 256;
const VALUE_MAX: usize = 8192;

type Values = BTreeMap<(String, String), String>;

/// The values. Cheap to clone; reading never waits.
#[derive(Clone, Debug)]
pub struct Database {
    values: Arc<Mutex<Values>>,
    store: Store,
}

impl Database {
    /// With what the store has.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open(store: Store) -> Result<Self, StoreError> {
        let load = |connection: &mut rusqlite::Connection| {
            connection.execute_batch(
                "CREATE TABLE IF NOT EXISTS plan_values (
                    family TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
                    PRIMARY KEY (family, key)) WITHOUT ROWID;",
            )?;
            let mut select = connection.prepare("SELECT family, key, value FROM plan_values")?;
            let rows = select.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?;
            rows.collect::<rusqlite::Result<Values>>()
        };
        let values = store.ask(load).await?;
        Ok(Self { values: Arc::new(Mutex::new(values)), store })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Values> {
        // Nothing here can panic half-way through a change.
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, statement: &'static str, place: (String, String)) {
        let told =
            self.store.tell(move |connection| connection.execute(statement, place).map(|_| ()));
        if let Err(error) = told {
            tracing::error!("a value of the plan is forgotten until the next start only: {error}");
        }
    }
}

impl Memory for Database {
    fn get(&self, family: &str, key: &str) -> Option<String> {
        self.lock().get(&(family.to_owned(), key.to_owned())).cloned()
    }

    fn put(&self, family: &str, key: &str, value: &str) -> Result<(), String> {
        if family.is_empty() || key.is_empty() || family.len() + key.len() > NAME_MAX {
            return Err(format!("family and key have 1 to {NAME_MAX} octets together"));
        }
        if value.len() > VALUE_MAX {
            return Err(format!("a value has {VALUE_MAX} octets at most"));
        }
        let place = (family.to_owned(), key.to_owned());
        let mut values = self.lock();
        if values.len() >= VALUES_MAX && !values.contains_key(&place) {
            return Err(format!("there are {VALUES_MAX} values already"));
        }
        let row = (place.0.clone(), place.1.clone(), value.to_owned());
        let insert = "INSERT OR REPLACE INTO plan_values (family, key, value) VALUES (?1, ?2, ?3)";
        let told = self.store.tell(move |connection| connection.execute(insert, row).map(|_| ()));
        told.map_err(|error| error.to_string())?;
        values.insert(place, value.to_owned());
        Ok(())
    }

    fn delete(&self, family: &str, key: &str) -> bool {
        let place = (family.to_owned(), key.to_owned());
        let was = self.lock().remove(&place).is_some();
        if was {
            self.forget("DELETE FROM plan_values WHERE family = ?1 AND key = ?2", place);
        }
        was
    }

    fn delete_tree(&self, family: &str, key: &str) -> usize {
        let gone: Vec<_> =
            self.lock().keys().filter(|place| within(place, family, key)).cloned().collect();
        gone.iter().filter(|(family, key)| self.delete(family, key)).count()
    }

    fn list(&self, family: &str, key: &str) -> Vec<(String, String, String)> {
        let values = self.lock();
        let found = values.iter().filter(|(at, _)| family.is_empty() || within(at, family, key));
        found.map(|((f, k), value)| (f.clone(), k.clone(), value.clone())).collect()
    }
}

/// Whether it is of that family, and is `key` or lies below it.
fn within(at: &(String, String), family: &str, key: &str) -> bool {
    let below = at.1.strip_prefix(key).is_some_and(|r| r.is_empty() || r.starts_with('/'));
    at.0 == family && (key.is_empty() || below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn values_outlive_the_process() {
        let store = Store::in_memory().unwrap();
        let database = Database::open(store.clone()).await.unwrap();
        database.put("doors", "front", "1234").unwrap();
        database.put("doors", "back/left", "1").unwrap();
        database.put("doors", "back/right", "2").unwrap();
        database.put("other", "x", "y").unwrap();
        let again = Database::open(store.clone()).await.unwrap();
        assert_eq!(again.get("doors", "front").as_deref(), Some("1234"));
        assert!(again.delete("doors", "front") && !again.delete("doors", "front"));
        assert_eq!(again.delete_tree("doors", "back"), 2);
        assert_eq!(again.delete_tree("other", ""), 1);
        let last = Database::open(store).await.unwrap();
        assert_eq!(last.get("doors", "front"), None);
        assert!(last.put("", "x", "y").is_err() && last.put("f", "k", &"x".repeat(9000)).is_err());
    }
}
