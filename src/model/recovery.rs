//! What a crash leaves behind, and the repair: the second table to read.
//!
//! Three facts decide: the state in the journal, the part file, and the file under the final
//! name. Every combination has exactly one letter, and [`case`] asserts it.
//!
//! | case | journal says         | part file         | final name      | repair |
//! |------|----------------------|-------------------|-----------------|--------|
//! | A    | pending              | none              | not right       | none: not begun |
//! | B    | pending              | any               | not right       | delete our part: it died before the first promise |
//! | C    | partial              | `=` or `>` offset | not right       | check the prefix digest, cut to the offset, resume |
//! | D    | partial              | none, `<` offset  | not right       | `restarted` (also from C when the digest differs) |
//! | E    | pending, partial     | any               | right size      | hash it: a match is `verified`, else the file is a stranger's |
//! | F    | verified             | any               | right size      | drop a left-over part |
//! | G    | verified             | any               | not right       | `lost` |
//! | H    | failed, expired-url  | any               | any             | at rest: C, D, E apply once it is wanted again |
//!
//! A stranger's file at the final name is never touched: our file takes another name.

use crate::model::state::State;

/// The part file, measured against the offset that the journal promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// There is none.
    None,
    /// Shorter than promised: the promise is broken.
    Short,
    /// Exactly the promised bytes.
    Exact,
    /// Longer: bytes were written after the last promise.
    Long,
}

impl Part {
    /// Every fact about a part file.
    pub const ALL: [Self; 4] = [Self::None, Self::Short, Self::Exact, Self::Long];

    /// Measures a part file of `len` bytes, if there is one, against the promise.
    #[must_use]
    pub fn measure(len: Option<u64>, offset_bytes: u64) -> Self {
        match len {
            None => Self::None,
            Some(len) if len < offset_bytes => Self::Short,
            Some(len) if len == offset_bytes => Self::Exact,
            Some(_) => Self::Long,
        }
    }
}

/// What stands under the final name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Final {
    /// Nothing.
    None,
    /// A regular file of the right size: only its bytes can tell whether it is ours.
    RightSize,
    /// Something else: another size, a directory, a link.
    Other,
}

impl Final {
    /// Every fact about a final name.
    pub const ALL: [Self; 3] = [Self::None, Self::RightSize, Self::Other];
}

/// A letter of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// Not begun.
    A,
    /// Died before the first promise: the part holds nothing that was promised.
    B,
    /// The usual crash: the promised prefix is there.
    C,
    /// The promised prefix is not there.
    D,
    /// Perhaps died between the rename and the commit.
    E,
    /// All is well.
    F,
    /// A verified file is not where it was.
    G,
    /// At rest.
    H,
}

const NOT_RIGHT: &[Final] = &[Final::None, Final::Other];

/// A row of the table: states, part facts, final facts, letter.
type Row = (&'static [State], &'static [Part], &'static [Final], Case);

const TABLE: [Row; 8] = [
    (&[State::Pending], &[Part::None], NOT_RIGHT, Case::A),
    (&[State::Pending], &[Part::Short, Part::Exact, Part::Long], NOT_RIGHT, Case::B),
    (&[State::Partial], &[Part::Exact, Part::Long], NOT_RIGHT, Case::C),
    (&[State::Partial], &[Part::None, Part::Short], NOT_RIGHT, Case::D),
    (&[State::Pending, State::Partial], &Part::ALL, &[Final::RightSize], Case::E),
    (&[State::Verified], &Part::ALL, &[Final::RightSize], Case::F),
    (&[State::Verified], &Part::ALL, NOT_RIGHT, Case::G),
    (&[State::Failed, State::ExpiredUrl], &Part::ALL, &Final::ALL, Case::H),
];

/// Looks up the letter.
///
/// # Panics
/// If the table does not give exactly one letter: a broken promise of ours.
#[must_use]
pub fn case(state: State, part: Part, r#final: Final) -> Case {
    let mut letters = TABLE.iter().filter_map(|(states, parts, finals, letter)| {
        (states.contains(&state) && parts.contains(&part) && finals.contains(&r#final)).then_some(*letter)
    });
    let (first, second) = (letters.next(), letters.next());
    match (first, second) {
        (Some(letter), None) => letter,
        _ => panic!("{state} with part {part:?} and final {final:?} must have exactly one recovery case"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_has_exactly_one_letter() {
        for state in State::ALL {
            for part in Part::ALL {
                for r#final in Final::ALL {
                    let _ = case(state, part, r#final);
                }
            }
        }
    }

    #[test]
    fn only_a_file_of_the_right_size_is_worth_hashing() {
        assert_eq!(case(State::Pending, Part::Long, Final::RightSize), Case::E);
        assert_eq!(case(State::Pending, Part::None, Final::Other), Case::A);
        assert_eq!(case(State::Partial, Part::Long, Final::None), Case::C);
        assert_eq!(case(State::Partial, Part::Short, Final::None), Case::D);
    }
}
