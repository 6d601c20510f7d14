//! Cursors of the change feed: resume points bound to a filter and authenticated by a keyed hash. They are opaque to
//! clients.

use crate::{feed::watcher::ResumePoint, service::read::pagination::TokenKey};

/// Version of the encoding.
const VERSION: u8 = 1;
/// Maximum length of a cursor.
const MAX_CURSOR_LENGTH: usize = 256;
/// The byte ranges of a decoded cursor.
const POSITION: std::ops::Range<usize> = 1..9;
const MARK: std::ops::Range<usize> = 9..17;
const FILTER: std::ops::Range<usize> = 17..25;
const CHECK_SUM: std::ops::Range<usize> = 25..41;
const EPOCH: std::ops::RangeFrom<usize> = 41..;

/// Encodes and decodes the cursors of one filter.
#[derive(Debug, Clone, Copy)]
pub struct Cursors {
    key: TokenKey,
    filter_hash: [u8; 8],
}

/// The reason why a cursor cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CursorError {
    /// This service did not issue the cursor.
    Invalid,
    /// The cursor was issued for another filter.
    OtherFilter,
}

impl Cursors {
    /// The cursors of a filter, by its text as sent.
    pub fn of(filter: &str, key: TokenKey) -> Self {
        let mut filter_hash = [0; 8];
        filter_hash.copy_from_slice(&blake3::hash(filter.as_bytes()).as_bytes()[..8]);
        Self { key, filter_hash }
    }

    /// Encodes a resume point.
    pub fn write(&self, resume_point: &ResumePoint) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(resume_point.position.to_be_bytes());
        bytes.extend(resume_point.mark);
        bytes.extend(self.filter_hash);
        bytes.extend(self.check_sum(&bytes, &resume_point.epoch));
        bytes.extend(resume_point.epoch.bytes());
        let mut cursor = String::with_capacity(2 * bytes.len());
        for byte in bytes {
            for digit in [byte >> 4, byte & 15] {
                cursor.push(char::from_digit(digit.into(), 16).unwrap_or_default());
            }
        }
        cursor
    }

    /// Decodes a cursor.
    ///
    /// # Errors
    /// `Invalid` for a cursor that is malformed or forged, `OtherFilter` for one of another filter.
    pub fn read(&self, cursor: &str) -> Result<ResumePoint, CursorError> {
        let bytes = bytes(cursor).ok_or(CursorError::Invalid)?;
        let epoch = bytes.get(EPOCH).and_then(|epoch| std::str::from_utf8(epoch).ok()).ok_or(CursorError::Invalid)?;
        let check_sum: [u8; 16] = part(&bytes, CHECK_SUM);
        if bytes[0] != VERSION || check_sum != self.check_sum(&bytes[..FILTER.end], epoch) {
            return Err(CursorError::Invalid);
        }
        if bytes[FILTER] != self.filter_hash {
            return Err(CursorError::OtherFilter);
        }
        let position = i64::from_be_bytes(part(&bytes, POSITION));
        Ok(ResumePoint { epoch: epoch.into(), position, mark: part(&bytes, MARK) })
    }

    fn check_sum(&self, head: &[u8], epoch: &str) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key.0);
        hasher.update(b"cursor").update(head).update(epoch.as_bytes());
        let mut sum = [0; 16];
        hasher.finalize_xof().fill(&mut sum);
        sum
    }
}

/// Takes a range out of a cursor, which must be long enough.
fn part<const N: usize>(bytes: &[u8], range: std::ops::Range<usize>) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&bytes[range]);
    part
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let is_hex = hex.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    if !is_hex || !hex.len().is_multiple_of(2) || hex.len() > MAX_CURSOR_LENGTH {
        return None;
    }
    let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    (0..hex.len()).step_by(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: TokenKey = TokenKey([7; 32]);

    #[test]
    fn cursor_is_bound_to_its_filter_and_key() {
        let resume_point = ResumePoint { epoch: "5c9e71d0".into(), position: 1207, mark: [3; 8] };
        let cursors = Cursors::of("kind = CREATED", KEY);
        let cursor = cursors.write(&resume_point);
        assert!(cursor.len() <= MAX_CURSOR_LENGTH);
        assert_eq!(cursors.read(&cursor), Ok(resume_point));
        assert_eq!(Cursors::of("", KEY).read(&cursor), Err(CursorError::OtherFilter));
        assert_eq!(Cursors::of("kind = CREATED", TokenKey([8; 32])).read(&cursor), Err(CursorError::Invalid));
    }

    #[test]
    fn altered_or_truncated_cursor_is_rejected() {
        let cursors = Cursors::of("", KEY);
        let cursor = cursors.write(&ResumePoint { epoch: "5c9e71d0".into(), position: 1, mark: [0; 8] });
        for at in 0..cursor.len() {
            let mut altered = cursor.clone().into_bytes();
            altered[at] = if altered[at] == b'0' { b'1' } else { b'0' };
            let altered = String::from_utf8(altered).expect("ASCII");
            assert_eq!(cursors.read(&altered), Err(CursorError::Invalid), "{at}");
        }
        for cut in 0..cursor.len() {
            assert_eq!(cursors.read(&cursor[..cut]), Err(CursorError::Invalid), "{cut}");
        }
        for wrong in ["x", "é", &"0".repeat(1_000), &cursor.to_uppercase()] {
            assert_eq!(cursors.read(wrong), Err(CursorError::Invalid), "{wrong}");
        }
    }
}
