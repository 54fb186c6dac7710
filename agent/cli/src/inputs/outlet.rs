//! Where inputs hand points over: marks them with this machine's alias.

use undertone::{Overflow, Point, Points};

/// The tag that tells machines of a fleet apart.
const HOST_TAG: &str = "host";

/// Where inputs hand points over. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Outlet {
    points: Points,
    alias: Option<String>,
}

impl Outlet {
    pub(crate) fn new(points: Points, alias: Option<String>) -> Self {
        Self { points, alias }
    }

    /// Hands points over, each with a time.
    ///
    /// # Errors
    /// [`Overflow`] if there is no room.
    pub(crate) fn add(&self, points: Vec<Point>) -> Result<(), Overflow> {
        self.points.add(self.marked(points))
    }

    /// Hands over more of a request that [`Outlet::add`] has taken the beginning of.
    ///
    /// # Errors
    /// [`Overflow`] if there is no room for that, either.
    pub(crate) fn add_further(&self, points: Vec<Point>) -> Result<(), Overflow> {
        self.points.add_further(self.marked(points))
    }

    fn marked(&self, points: Vec<Point>) -> Vec<Point> {
        points.into_iter().map(|point| mark(point, self.alias.as_deref())).collect()
    }
}

/// The alias wins over a name that a program gave the machine: that is mostly the real one.
pub(crate) fn mark(point: Point, alias: Option<&str>) -> Point {
    match alias {
        Some(alias) => point.tag(HOST_TAG, alias),
        None => point,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alias_is_the_only_host_there_is() {
        let own = Point::new("cpu").tag("host", "real-name").field("value", 1_i64);
        assert_eq!(mark(own.clone(), Some("web-1")).tags[&"host".into()], "web-1");
        assert_eq!(mark(own.clone(), None), own);
        assert!(mark(Point::new("cpu"), None).tags.is_empty());
    }
}
