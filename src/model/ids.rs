//! Names for things, so that one kind of number or text cannot be taken for another.
//!
//! Journal ids are SQLite row ids. Record names are the service's own, opaque to us.

/// Defines a journal row id.
macro_rules! row_id {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

/// Defines a name that the service gave.
macro_rules! record_name {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

row_id! {
    /// One Apple account.
    AccountId
    /// One photo library: a CloudKit zone of an account.
    LibraryId
    /// One asset of a library.
    AssetId
    /// One asset file: one rendition, one row, one file on disk.
    FileId
    /// One execution of the program.
    RunId
}

record_name! {
    /// The record name of a `CPLAsset`: one item of the library as a person sees it.
    AssetName
    /// The record name of a `CPLMaster`: the set of files as imported.
    MasterName
}
