//! Points as the text that is stored and sent to databases: the one place that converts.

use undertone_wire::{Point, line_protocol};

use undertone_storage::{StorageError, StorageErrorKind};

/// Appends `point` and a newline. A point without a timestamp is refused: the database would
/// choose one, and a repeated write would no longer overwrite itself.
pub(crate) fn append(point: &Point, text: &mut String) -> Result<(), StorageError> {
    let refused = || {
        StorageError::new(
            StorageErrorKind::InvalidPoint,
            "a point has no timestamp, or can't be written as line protocol",
        )
    };
    if point.timestamp.is_none() {
        return Err(refused());
    }
    line_protocol::write(point, text).map_err(|error| refused().with_source(error))
}

/// All of `points`, a line each.
pub(crate) fn encode(points: &[Point]) -> Result<String, StorageError> {
    let mut text = String::new();
    for point in points {
        append(point, &mut text)?;
    }
    Ok(text)
}

/// What was stored, and whether anything in it could not be read back.
///
/// What [`encode`] wrote always can; anything else means a damaged file.
pub(crate) fn decode(text: &str) -> Decoded {
    let mut decoded = Decoded::default();
    for line in line_protocol::parse(text) {
        match line {
            Ok(line) => decoded.points.push(Point::from(line)),
            Err(_) => decoded.unreadable += 1,
        }
    }
    decoded
}

/// What [`decode`] read.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    /// What could be read, in order.
    pub(crate) points: Vec<Point>,
    /// How many lines could not.
    pub(crate) unreadable: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let points = [Point::new("a b").tag("t", "x,y").field("f", 1.5).at(7), point(8)];
        let decoded = decode(&encode(&points).unwrap());
        assert_eq!(decoded.points, points);
        assert_eq!(decoded.unreadable, 0);
    }

    #[test]
    fn a_point_without_time_or_with_what_is_no_number_is_refused() {
        for bad in [Point::new("a").field("f", 1.0), Point::new("a").field("f", f64::NAN).at(1)] {
            let mut text = "before\n".to_owned();
            let error = append(&bad, &mut text).unwrap_err();
            assert_eq!(error.kind(), StorageErrorKind::InvalidPoint);
            assert_eq!(text, "before\n");
        }
    }

    #[test]
    fn damage_is_counted() {
        let decoded = decode("a f=1 7\nnonsense\na f=1 8\n");
        assert_eq!(decoded.points.len(), 2);
        assert_eq!(decoded.unreadable, 1);
    }

    fn point(time: i64) -> Point {
        Point::new("m").field("s", "with \"quotes\" and\nlines").at(time)
    }
}
