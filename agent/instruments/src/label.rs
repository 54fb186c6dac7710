//! Labels: a closed set of values that an instrument is split by.
//!
//! A label is an enum, never text, so what may appear in a database stands in the source and nothing else can. The
//! `label!` macro makes one. `()` is the absence of a label.

use crate::declaration::LabelDeclaration;

/// A closed set of values that an instrument is split by. Made with [`label!`](crate::label!).
pub trait Label: Copy + Send + Sync + 'static {
    /// The name of the label, a tag key in the database.
    const KEY: &'static str;

    /// Every value, in the order of [`index`](Self::index); no two alike.
    const VALUES: &'static [&'static str];

    /// This value's position in [`VALUES`](Self::VALUES).
    ///
    /// What is recorded under a position outside of it is dropped.
    fn index(self) -> usize;
}

/// What an instrument may be split by: a [`Label`], or `()` for nothing.
///
/// Implemented for exactly these; it exists so that `Counter` and `Counter<Outcome>` are one type.
pub trait Dimension: Copy + Send + Sync + sealed::Sealed + 'static {
    /// The label's declaration, or none for `()`.
    const LABEL: Option<LabelDeclaration>;

    /// Which of the instrument's cells is meant.
    #[doc(hidden)]
    fn cell(self) -> usize;
}

impl Dimension for () {
    const LABEL: Option<LabelDeclaration> = None;

    fn cell(self) -> usize {
        0
    }
}

impl<L: Label> Dimension for L {
    const LABEL: Option<LabelDeclaration> =
        Some(LabelDeclaration { key: L::KEY, values: L::VALUES });

    fn cell(self) -> usize {
        self.index()
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for () {}
    impl<L: super::Label> Sealed for L {}
}
