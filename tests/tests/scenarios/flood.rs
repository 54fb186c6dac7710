//! A flood of sessions against a proxy behind a unix socket.
//!
//! A failure: a known session of which one parcel in a hundred is lost; a new honest session that comes again
//! and gets no place although few circuits are held against it; a store that grew by more sessions
//! than the limit; memory that grew by more than 64 MiB. Not a failure: first parcels of new sessions that are lost, how many requests a second are
//! answered.

use anyhow::Result;
use undertone_tests::flood::{self, Plan};

#[test]
fn s2_known_sessions_are_heard_under_a_flood_and_new_ones_that_come_again_get_a_place() -> Result<()>
{
    let plan = Plan { hostile: 10, established: 10, newcomers: 5, places: 120, minutes: 25 };
    let figures = flood::measure(plan)?;
    let kept = figures.established;
    assert!(kept.taken > 50 && kept.share() >= 0.99, "known sessions: {figures:?}");
    assert_eq!(figures.waited_minutes.len(), 5, "new ones that were heard: {figures:?}");
    assert!(figures.offered > figures.ceiling, "there was a flood: {figures:?}");
    assert!(figures.admitted <= figures.ceiling, "the store's growth: {figures:?}");
    assert!(figures.peak_bytes - figures.idle_bytes <= 64 << 20, "memory: {figures:?}");
    Ok(())
}
