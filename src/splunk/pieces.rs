//! Secrets of any length in `storage/passwords`, which encrypts at most 255 characters per entry.
//!
//! A value that does not fit is kept as `<name>.1`, `<name>.2`, …; the first piece starts with `<number of pieces>:`, so
//! that what an earlier, longer value left behind is not read. A short value is kept as `<name>`, which is read first.

use super::rest::{RestError, Splunkd};
use crate::secret::Secret;

/// The most one entry holds, in bytes.
const PIECE: usize = 250;
/// More pieces than any key or connection string fills; a larger count is damage.
const MOST: usize = 999;

impl Splunkd {
    /// A secret kept whole or in pieces; `None` when there is none.
    ///
    /// # Errors
    /// [`RestError::Incomplete`] when a piece is missing; otherwise as [`Splunkd::password`].
    pub fn secret(&self, realm: &str, name: &str) -> Result<Option<Secret>, RestError> {
        if let Some(whole) = self.password(realm, name)? {
            return Ok(Some(whole));
        }
        let Some(first) = self.password(realm, &piece(name, 1))? else { return Ok(None) };
        let incomplete = |fault: String| RestError::Incomplete { object: format!("the secret {name} of realm {realm}"), fault };
        let (count, start) =
            open(first.expose()).ok_or_else(|| incomplete("the first piece does not say how many".to_owned()))?;
        let mut value = start.to_owned();
        for number in 2..=count {
            let next = self.password(realm, &piece(name, number))?;
            let next = next.ok_or_else(|| incomplete(format!("piece {number} of {count} is missing")))?;
            value.push_str(next.expose());
        }
        Ok(Some(Secret::new(value)))
    }

    /// Stores a secret, in pieces when it is long, deletes what an earlier one left, and reads it back.
    ///
    /// # Errors
    /// [`RestError::NotKept`] when something else comes back; otherwise as [`Splunkd::set_password`].
    pub fn set_secret(&self, realm: &str, name: &str, secret: &Secret) -> Result<(), RestError> {
        let pieces = split(secret.expose());
        if let [whole] = pieces.as_slice() {
            self.set_password(realm, name, &Secret::new(*whole))?;
            self.delete_pieces_from(realm, name, 1)?;
        } else {
            let count = pieces.len();
            // The piece with the number comes last: until then a reader finds the old value or an error, no mixture
            // that looks whole, unless the old one had as many pieces.
            for (at, text) in pieces.iter().enumerate().rev() {
                let text = if at == 0 { format!("{count}:{text}") } else { (*text).to_owned() };
                self.set_password(realm, &piece(name, at + 1), &Secret::new(text))?;
            }
            self.delete_pieces_from(realm, name, count + 1)?;
            self.delete_password(realm, name)?;
        }
        if self.secret(realm, name)?.as_ref() == Some(secret) {
            return Ok(());
        }
        Err(RestError::NotKept { object: format!("the secret {name} of realm {realm}") })
    }

    /// Deletes a secret however it is kept; false when there was none.
    ///
    /// # Errors
    /// As [`Splunkd::delete_password`].
    pub fn delete_secret(&self, realm: &str, name: &str) -> Result<bool, RestError> {
        let whole = self.delete_password(realm, name)?;
        Ok(self.delete_pieces_from(realm, name, 1)? || whole)
    }

    /// Deletes pieces from a number on, up to the first that does not exist.
    fn delete_pieces_from(&self, realm: &str, name: &str, from: usize) -> Result<bool, RestError> {
        let mut number = from;
        while number <= MOST && self.delete_password(realm, &piece(name, number))? {
            number += 1;
        }
        Ok(number > from)
    }
}

fn piece(name: &str, number: usize) -> String {
    format!("{name}.{number}")
}

/// The number of pieces, and what the first one holds of the value.
fn open(first: &str) -> Option<(usize, &str)> {
    let (count, start) = first.split_once(':')?;
    let count = count.parse().ok().filter(|count| (1..=MOST).contains(count))?;
    Some((count, start))
}

/// The value in pieces that fit, the first with room for the number; one piece when it fits whole.
fn split(value: &str) -> Vec<&str> {
    if value.len() <= PIECE {
        return vec![value];
    }
    // Room for `999:`, whatever the number turns out to be.
    let mut room = PIECE - 4;
    let mut pieces = Vec::new();
    let mut rest = value;
    while !rest.is_empty() {
        let (start, after) = rest.split_at(rest.floor_char_boundary(room));
        pieces.push(start);
        rest = after;
        room = PIECE;
    }
    pieces
}
