//! Requests as clients of InfluxDB make them, on streams of circuits: what is answered, what is stored.
