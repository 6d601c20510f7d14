//! The clock of writes. A revision must be later than each time as of which records were read, so that a repeated read
//! returns the same. An instance whose clock is behind learns such a time when a write of its own is refused for it.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, SystemTime},
};

use chrono::{DateTime, Utc};

/// Microseconds since 1970 that every write of this process is later than.
static FLOOR: AtomicI64 = AtomicI64::new(0);

/// The time of a write that is prepared at this moment.
pub fn now() -> SystemTime {
    let floor = u64::try_from(FLOOR.load(Ordering::Relaxed)).unwrap_or(0);
    SystemTime::now().max(SystemTime::UNIX_EPOCH + Duration::from_micros(floor + 1))
}

/// Makes all further writes of this process later than `time`.
pub fn raise(time: DateTime<Utc>) {
    FLOOR.fetch_max(time.timestamp_micros(), Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn now_is_later_than_each_time_that_was_raised() {
        let time: DateTime<Utc> = (SystemTime::now() + Duration::from_secs(3)).into();
        raise(time);
        raise(time - Duration::from_secs(1));
        let next = DateTime::<Utc>::from(now());
        assert_eq!(next.timestamp_micros(), time.timestamp_micros() + 1);
    }
}
