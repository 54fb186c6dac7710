//! Which process something belongs to.
//!
//! After a fork the child has a copy of everything but the threads: locks that one of them held are never
//! released there, and what it would send would be its parent's. So whatever leads to the agent's task
//! first asks whether it still is where it was started, and does nothing anywhere else.

/// The process that something was made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner(u32);

impl Owner {
    /// This process.
    pub(crate) fn this() -> Self {
        Self(std::process::id())
    }

    /// Whether this is still that process, and not a child that it forked. One system call.
    pub(crate) fn is_here(self) -> bool {
        self == Self::this()
    }
}
