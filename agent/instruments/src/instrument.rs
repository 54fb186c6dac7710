//! What all instruments have in common, so that a declaration and a registry can hold any of them.

use std::time::Duration;

use crate::{Kind, LabelDeclaration};

/// One of the five instruments, labelled or not. Sealed.
pub trait Instrument: live::Live + Clone + Default + Send + Sync + 'static {
    /// What it is in a declaration.
    const KIND: Kind;

    /// The label it is split by, if any.
    const LABEL: Option<LabelDeclaration>;

    /// The unit it always has, if it has one by nature: a timer's is `"ns"`.
    const UNIT: Option<&'static str> = None;
}

pub(crate) use live::Live;

mod live {
    use super::Duration;
    use crate::reading::Value;

    /// What the registry does to an instrument. In a private module, which seals [`Instrument`](super::Instrument).
    pub trait Live {
        /// One value for each cell, in order; what a histogram holds is taken out of it.
        fn values(&self, elapsed: Duration) -> Vec<Option<Value>>;

        /// Five seconds have passed.
        fn tick(&self) {}

        /// Forgets everything that was recorded.
        fn reset(&self);
    }
}
