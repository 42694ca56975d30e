//! The operations of a store and of its writers and readers, by name, for the decorators.

/// One operation. Those of writers and readers are counted over all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// [`BlobStore::create`](crate::BlobStore::create).
    Create,
    /// [`BlobStore::resume`](crate::BlobStore::resume).
    Resume,
    /// [`BlobStore::open`](crate::BlobStore::open).
    Open,
    /// One chunk of a [`BlobReader`](crate::BlobReader).
    Read,
    /// [`BlobStore::stat`](crate::BlobStore::stat).
    Stat,
    /// [`BlobStore::delete`](crate::BlobStore::delete).
    Delete,
    /// [`BlobStore::list`](crate::BlobStore::list).
    List,
    /// [`BlobStore::space`](crate::BlobStore::space).
    Space,
    /// [`BlobWriter::append`](crate::BlobWriter::append).
    Append,
    /// [`BlobWriter::sync`](crate::BlobWriter::sync).
    Sync,
    /// [`BlobWriter::truncate`](crate::BlobWriter::truncate).
    Truncate,
    /// [`BlobWriter::commit`](crate::BlobWriter::commit).
    Commit,
    /// [`BlobWriter::abort`](crate::BlobWriter::abort).
    Abort,
}

impl Operation {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 13] = [
        Self::Create,
        Self::Resume,
        Self::Open,
        Self::Read,
        Self::Stat,
        Self::Delete,
        Self::List,
        Self::Space,
        Self::Append,
        Self::Sync,
        Self::Truncate,
        Self::Commit,
        Self::Abort,
    ];

    /// A name for metrics: lower case, no spaces.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Resume => "resume",
            Self::Open => "open",
            Self::Read => "read",
            Self::Stat => "stat",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Space => "space",
            Self::Append => "append",
            Self::Sync => "sync",
            Self::Truncate => "truncate",
            Self::Commit => "commit",
            Self::Abort => "abort",
        }
    }

    /// Its place in [`Self::ALL`].
    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_stands_at_its_index() {
        for (index, operation) in Operation::ALL.into_iter().enumerate() {
            assert_eq!(operation.index(), index, "{}", operation.name());
        }
    }
}
