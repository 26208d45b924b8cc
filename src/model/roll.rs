//! A roll: which row ids were called already.
//!
//! One bit for each row of the journal: an eighth of a megabyte for a million rows.

/// Ids that were called, each counted once.
#[derive(Clone, Debug, Default)]
pub struct Roll {
    bits: Vec<u64>,
    count: u64,
}

impl Roll {
    /// Calls an id. `true`: for the first time.
    pub fn call(&mut self, id: i64) -> bool {
        let (word, bit) = Self::place(id);
        if word >= self.bits.len() {
            self.bits.resize(word + 1, 0);
        }
        let is_new = self.bits[word] & bit == 0;
        self.count += u64::from(is_new);
        self.bits[word] |= bit;
        is_new
    }

    /// Whether an id was called.
    #[must_use]
    pub fn was_called(&self, id: i64) -> bool {
        let (word, bit) = Self::place(id);
        self.bits.get(word).is_some_and(|bits| bits & bit != 0)
    }

    /// How many were called.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    fn place(id: i64) -> (usize, u64) {
        let place = usize::try_from(id).expect("SQLite row ids of ours are positive");
        (place / 64, 1 << (place % 64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_counted_once() {
        let mut roll = Roll::default();
        assert_eq!([5, 700, 5, 0].map(|id| roll.call(id)), [true, true, false, true]);
        assert_eq!(roll.count(), 3);
        assert_eq!([0, 1, 5, 700, 9999].map(|id| roll.was_called(id)), [true, false, true, true, false]);
    }
}
