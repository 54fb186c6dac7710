//! What stands around the numbers.

/// A part of the table, and what is to be known of it.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) how: &'static str,
    pub(crate) slower: &'static str,
}

pub(crate) const COLUMNS: [&str; 7] =
    ["What", "Unit", "Undertone", "Peer", "Peer's", "Ratio", "Range of ratios"];

pub(crate) const BEGIN: &str = "\
# Benchmarks

Written by `make bench`, which measures everything below in one run; `make bench BENCH=part` measures one part and writes
nothing here. What is measured is built as what is released. Ours and its peers have their turns in each round, so that what
disturbs the machine disturbs all of them. The numbers are medians; the **ratio** says how many times better ours is, so that
**below 1 ours is worse**, and the range is that of the rounds. Ratios below 0.95 are bold.

## The machine

| | |
|---|---|
";

pub(crate) const TABLE: &str = "
## The table

| What | Unit | Undertone | Peer | Peer's | Ratio | Range of ratios |
|---|---|---|---|---|---|---|
";

pub(crate) const PARTS: &[Part] = &[
    Part {
        name: "instruments",
        title: "instruments: a call",
        how: "`make bench BENCH=instruments`; nanoseconds a call, nine rounds. Handles are kept, as all of these libraries advise; a
call records a number that changes each time, between 1 and 2^30. On one thread a sample is the fastest of five times 200,000
calls; on two threads that share the instrument it is a million calls each,
in which both had a processor from beginning to end. The
crate `metrics` has a recorder of `metrics-util`'s registry, which is emptied between samples; `prometheus` has 11 buckets;
go-metrics has the sample of 1,028 that its timers have. `AtomicI64::fetch_add` is the floor: one addition to memory.",
        slower: "**Slower:** a histogram costs as much as five bare additions, since it makes four (sum, least, greatest, bucket) and
looks for the bucket; a timer also counts for its rates. `metrics` only appends the
number to a list, which somebody has to read later; `prometheus` keeps neither the least nor the greatest and has 11 buckets where
ours has 961. Two threads cost little more than one where the processors share a
cache, as those here seem to; elsewhere everything that shares one number is slowed by the memory. `prometheus` sets a gauge by the same
store as ours, which looks up the label's cell before.",
    },
    Part {
        name: "lines",
        title: "lines: line protocol",
        how: "`make bench BENCH=lines`; millions of lines a second on one thread, nine rounds, the fastest of five in each. A text of
3,000 lines of three kinds (one field; three integers under two tags; ten floats under two tags), all with a timestamp; the
megabytes a second are the rate times the length that the row names. InfluxDB 2's own parser is `models.ParsePointsWithPrecision`
in Go; it checks fields, but makes no values of them before they are asked for, while the other two do. Writing is of the same
points, by `line_protocol::write` and by the crate's `LineProtocolBuilder`.",
        slower: "**Slower:** nowhere.",
    },
    Part {
        name: "listener",
        title: "listener: the local listener",
        how: "`make bench BENCH=listener`; millions of lines a second, nine rounds. One client with one connection sends bodies of 5,000
of the same lines, each after the answer to the one before, 20 in a sample. Ours is on one thread and its points are dropped; Telegraf
1.37.2 has its two InfluxDB listeners and the output `discard`, and as many threads as it likes. By the clock, the client is included; of
processor time, it is the server's threads alone.",
        slower: "**Slower:** nowhere. The aim of three times Telegraf is reached since names of points stand in place ([decision 0021](decisions/0021-names-in-place.md)).",
    },
    Part {
        name: "parcels",
        title: "parcels: sealing and unsealing",
        how: "`make bench BENCH=parcels`; thousands a second on one thread, nine rounds, the fastest of five times 60 in each. The batch
is a file server's instruments over four intervals: 24 points, 5,699 bytes as text, 1,149 bytes as a payload. Beside it stands
what is in it anyhow: the signature alone, over a message of the same length, and compression alone, of the same text at the same
level, so that the rest is our own.",
        slower: "**Slower:** the whole can't be faster than a part of it. Unsealing is the verification and the reading of the public key, which the bare
one has read before. What a payload costs beyond zstd is the writing of the text, or the reading and making of 24
points; that is the price of admitting only what was understood.",
    },
    Part {
        name: "admission",
        title: "admission: parcels a second",
        how: "`make bench BENCH=admission`; parcels a second by the clock, nine rounds of 1,024 parcels from 64 clients at once on this
machine, each with one request at a time. Ours is a whole proxy, without Tor: its socket for a C tor, one connection a request, HTTP, signature,
decoding, schema, encoding anew, durable queue with fsync, answer; its database is down, so that the way out of the queue costs
nothing. The SQLite table gets bodies of the same length from threads of one process, and commits in groups with fsync, as the queue does.
InfluxDB 2 gets the same 24 points a request by `/api/v2/write`, over connections that stay open.",
        slower: "**Slower:** the bare table does none of the work above: no connection, no HTTP, no signature (which alone takes 40 µs), no
points. The disk isn't what limits admission: it takes eleven times as many bodies.",
    },
    Part {
        name: "pushes",
        title: "pushes: through Tor",
        how: "`make bench BENCH=pushes`; seven rounds on a private Tor network of ten nodes on this machine. The first push is from the
start of a program with nothing on its disk to its first parcel that was admitted; the peer's from the start of C tor to the end of
the first curl that was answered, begun when tor says that it is bootstrapped. On a warm circuit, ours are parcels that wait and
follow each other, each on a stream of its own, from one answer to the next: to our proxy's onion service, with a commit to disk. The peer's are
as many requests of the same 3,785 bytes by one curl over C tor's SOCKS port, each on a stream of its own, to C tor's onion
service with a server behind it that keeps nothing. Latencies are medians of a round. On the real network, circuits take longer
than all of this together.",
        slower: "**Slower:** a push takes some milliseconds longer. Ours waits for a commit to disk, which the peer's doesn't, and Arti is at both ends; how
much each of them weighs wasn't measured. The way through six relays is the same.",
    },
    Part {
        name: "memory",
        title: "memory: resident when idle",
        how: "`make bench BENCH=memory`; mebibytes from `/proc/PID/smaps_rollup`, seven readings, after 45 s in which only the agent's own
few pushes went over circuits that were there. *Resident* counts shared pages in full, *proportional* by their share. The agent is its host program
less the same program without consent, where there is no agent. All are on the private network: the real one's directory
of thousands of relays is kept in memory by both, and adds to both.",
        slower: "**Slower:** C tor is smaller. Arti in a program of ours has a runtime, SQLite and rustls beside it, and the proxy a queue and a store as well; what takes how
much wasn't measured. The proportional sums say little here: the network's own dozen of C tors share that program's pages, while ours is the only
one of its kind; with one C tor on a machine, its proportional sum is near its resident one.",
    },
];
