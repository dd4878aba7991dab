//! Variables of a channel, and those of all: bounded in number and size.

use std::collections::BTreeMap;

/// Variables of one channel.
pub(super) const MAX_VARIABLES: usize = 256;
/// Octets of a name.
pub(super) const MAX_NAME: usize = 80;
/// Octets of a value.
pub(super) const MAX_VALUE: usize = 8192;

/// Why a variable is not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VariableError {
    /// Empty or longer than 80 octets.
    Name,
    /// Longer than 8192 octets.
    Value,
    /// There are 256 others.
    Full,
    /// The channel is gone.
    NoSuchChannel,
}

/// A set of variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Sets one; an empty value deletes it.
    ///
    /// # Errors
    /// [`VariableError`]; nothing was changed.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), VariableError> {
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(VariableError::Name);
        }
        if value.len() > MAX_VALUE {
            return Err(VariableError::Value);
        }
        if value.is_empty() {
            self.0.remove(name);
        } else if self.0.len() >= MAX_VARIABLES && !self.0.contains_key(name) {
            return Err(VariableError::Full);
        } else {
            self.0.insert(name.to_owned(), value.to_owned());
        }
        Ok(())
    }

    /// The value, if it is set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}
