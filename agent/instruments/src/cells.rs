//! What an instrument's handles share: one cell for each value of its label, or one alone.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::label::Dimension;

/// Shared cells, chosen by a label. Cloning shares them.
pub(crate) struct Cells<C, L> {
    cells: Arc<[C]>,
    dimension: PhantomData<fn(L)>,
}

impl<C, L: Dimension> Cells<C, L> {
    /// The cell of a label's value. None for a value that its own label doesn't list.
    pub(crate) fn at(&self, dimension: L) -> Option<&C> {
        self.cells.get(dimension.cell())
    }

    /// Records into the cell of a label's value, if there is one.
    pub(crate) fn update(&self, dimension: L, record: impl FnOnce(&C)) {
        if let Some(cell) = self.at(dimension) {
            record(cell);
        }
    }

    /// All cells, in the order of the label's values.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, C> {
        self.cells.iter()
    }
}

impl<C: Default, L: Dimension> Default for Cells<C, L> {
    fn default() -> Self {
        let count = L::LABEL.map_or(1, |label| label.values.len());
        Self { cells: (0..count).map(|_| C::default()).collect(), dimension: PhantomData }
    }
}

impl<C, L> Clone for Cells<C, L> {
    fn clone(&self) -> Self {
        Self { cells: Arc::clone(&self.cells), dimension: PhantomData }
    }
}

/// Writes an instrument without its numbers: they are for the consented way out, not for logs.
pub(crate) fn redacted(formatter: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    formatter.debug_struct(name).finish_non_exhaustive()
}
