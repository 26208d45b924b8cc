//! Whom a sign-in asks, and what it tells them.
//!
//! Questions block, news do not. How either reaches a human is left to the implementation.

use std::io;

use crate::model::secret::Secret;

/// A trusted phone number that Apple can send a code to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phone {
    /// Apple's number for it.
    pub id: u64,
    /// The number, all but its last digits masked by Apple. A stranger's text.
    pub number: String,
}

/// What a person is asked for a code with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodePrompt {
    /// How many codes were refused already, in this sign-in.
    pub refused: u32,
    /// How many may be tried in all.
    pub tries_max: u32,
    /// The phone that the last code was sent to; `None` when trusted devices show it.
    pub phone: Option<Phone>,
    /// The phones to choose from. Empty until someone asked for a text message.
    pub phones: Vec<Phone>,
}

/// What a person answers when they are asked for a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeEntry {
    /// The code.
    Code(Secret),
    /// None yet: trusted devices shall show a new one.
    Push,
    /// None yet: send one to a phone, counted from 1 as [`CodePrompt::phones`] lists them. Without
    /// a number the only phone is meant, or a list is wanted.
    Sms(Option<usize>),
}

/// What a person should know while they sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// The code was right.
    CodeAccepted,
    /// A code is on its way.
    CodeSent {
        /// To which phone; `None` for the trusted devices.
        phone: Option<Phone>,
    },
    /// Advanced Data Protection: a device asks whether web access is allowed, and we wait for it.
    ApproveOnDevice {
        /// For how long, in seconds.
        wait_s: u64,
    },
    /// The device said yes.
    Approved,
    /// Our clock and Apple's differ so much that signatures and expiry times go wrong.
    ClockIsWrong {
        /// Seconds by which ours is ahead; negative when it is behind.
        ahead_s: i64,
    },
}

/// How a sign-in asks a human. `None` means that nobody is there.
///
/// Questions are called on a thread of their own, so they may block for as long as a person needs.
pub trait Person: Send + Sync {
    /// Asks for the account's password.
    /// # Errors
    /// When the question could not be put.
    fn password(&self) -> io::Result<Option<Secret>>;

    /// Asks for a code of the second factor, or for another way to get one.
    /// # Errors
    /// When the question could not be put.
    fn code(&self, prompt: &CodePrompt) -> io::Result<Option<CodeEntry>>;

    /// Whether a code is in hand already, or a text message is wanted. Then trusted devices are
    /// not asked to show one: a new code voids the old one.
    fn holds_code(&self) -> bool {
        false
    }

    /// Hears news. Must not block.
    fn tell(&self, news: News) {
        let _ = news;
    }
}
