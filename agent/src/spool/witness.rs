//! Who is told of each parcel as it comes and goes on the disk, so that a test can hold what a database has in
//! the end against what was sealed.

use std::{fmt, sync::Arc};

use undertone_wire::{
    Point,
    parcel::{Age, Parcel, read_unverified},
    session::SessionId,
};

/// Is told of parcels; for tests alone, since whoever is told knows all that is measured.
///
/// It is called on the thread that writes, which waits for it: what it writes down itself before it returns is
/// written down before a parcel counts as sealed.
#[derive(Clone)]
pub struct Witness(Arc<dyn Fn(Witnessed<'_>) + Send + Sync>);

/// What becomes of a parcel, which its ID names.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Witnessed<'a> {
    /// It is about to be written. This may be told again for the same parcel.
    Sealing(&'a [u8; 16], SessionId, Vec<Point>),
    /// It is on the disk: from here on it counts as sealed.
    Sealed(&'a [u8; 16]),
    /// It was given up for this reason, and is no more on the disk.
    Dropped(&'a [u8; 16], &'static str),
}

impl Witness {
    /// Calls `told` with each.
    pub fn new(told: impl Fn(Witnessed<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(told))
    }

    pub(super) fn sealing(&self, parcel: &Parcel) {
        let read = read_unverified(&parcel.body(Age::default())).ok();
        let points = read.and_then(|parcel| parcel.payload.decode().ok()).unwrap_or_default();
        self.tell(Witnessed::Sealing(&parcel.id().0, parcel.session().id(), points));
    }

    pub(super) fn tell(&self, what: Witnessed<'_>) {
        (self.0)(what);
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Witness")
    }
}
