//! Texts and points to try: near to valid, nasty, and anything.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use undertone_wire::{FieldValue, Point};

/// Lines that are mostly valid: most parts are plain, some are one of a part's pitfalls.
pub(crate) fn near_valid() -> impl Strategy<Value = String> {
    let line = (spaces(), name(), vec((name(), name()), 0..3), vec((name(), value()), 1..4), end());
    let line = line.prop_map(|(indent, measurement, tags, fields, end)| {
        let tags: String = tags.iter().map(|(key, value)| format!(",{key}={value}")).collect();
        let fields: Vec<_> = fields.iter().map(|(key, value)| format!("{key}={value}")).collect();
        format!("{indent}{measurement}{tags} {}{end}", fields.join(","))
    });
    let other = select(vec!["", " ", "# a", "#a b=\"", " # a,b=\"c\" \\", "#\\", "\t", "m"]);
    let line = prop_oneof![8 => line, 1 => other.prop_map(str::to_owned)];
    vec(line, 1..4).prop_map(|lines| lines.join("\n"))
}

/// Like [`near_valid`], with some characters changed.
pub(crate) fn mutated() -> impl Strategy<Value = String> {
    let mutation = (any::<Index>(), option::of(select(NASTY)), any::<bool>());
    (near_valid(), vec(mutation, 0..3)).prop_map(|(text, mutations)| {
        let mut characters: Vec<String> = text.chars().map(String::from).collect();
        for (at, new, replaces) in mutations {
            let at = at.index(characters.len() + 1);
            if (replaces || new.is_none()) && at < characters.len() {
                characters.remove(at);
            }
            characters.splice(at..at, new.map(str::to_owned));
        }
        characters.concat()
    })
}

/// Characters that mean something, in any order.
pub(crate) fn nasty() -> impl Strategy<Value = String> {
    vec(select(NASTY), 0..30).prop_map(|parts| parts.concat())
}

/// Points of which most can be written.
pub(crate) fn point() -> impl Strategy<Value = Point> {
    let name = || {
        prop_oneof![
            4 => "[a-z]{1,6}",
            4 => "[a-z ,=\"#é\\\\]{0,5}[a-z]",
            1 => "\\PC{0,6}",
            1 => any::<String>(),
        ]
    };
    let value = prop_oneof![
        any::<f64>().prop_map(FieldValue::from),
        (-1000..1000_i32).prop_map(|number| FieldValue::from(f64::from(number) / 8.0)),
        any::<i64>().prop_map(FieldValue::from),
        any::<u64>().prop_map(FieldValue::from),
        any::<bool>().prop_map(FieldValue::from),
        "[a\\\\\" ,=\n\r\t#é]{0,8}".prop_map(FieldValue::String),
        any::<String>().prop_map(FieldValue::String),
    ];
    let (tags, fields) = (btree_map(name(), name(), 0..4), btree_map(name(), value, 1..5));
    (name(), tags, fields, option::of(any::<i64>())).prop_map(
        |(measurement, tags, fields, timestamp)| Point {
            measurement: measurement.into(),
            tags: tags.into_iter().map(|(key, value)| (key.into(), value.into())).collect(),
            fields: fields.into_iter().map(|(key, value)| (key.into(), value)).collect(),
            timestamp,
        },
    )
}

const NASTY: &[&str] = &[
    "m", "m f=1", "a", ",", ",", "=", "=", " ", " ", "\"", "\"", "\\", "\\", "\n", "\n", "\r",
    "\t", "#", "\0", "1", "0", "-", "+", ".", "e", "i", "u", "t", "f", "N", "é", "\u{7f}",
];

fn spaces() -> impl Strategy<Value = &'static str> {
    prop_oneof![12 => Just(""), 1 => Just(" "), 1 => Just("  "), 1 => Just("\t")]
}

fn name() -> impl Strategy<Value = String> {
    let plain = prop_oneof!["[a-d]", "[a-d]{2,9}"];
    let odd = select(vec![
        "\\,", "\\ ", "\\=", "\\x", "\"", "\\\"", "#", "é", "\\é", "time", "_field", "=", "\\\\",
        "\\", "\t", ".5", "1.", "'",
    ]);
    prop_oneof![
        20 => plain,
        3 => vec(odd.clone(), 1..3).prop_map(|parts| parts.concat()),
        3 => ("[a-d]", odd, "[a-d]").prop_map(|(a, b, c)| format!("{a}{b}{c}")),
    ]
}

fn value() -> impl Strategy<Value = String> {
    let odd = select(vec![
        "1.",
        ".5",
        "-.5",
        ".",
        "-",
        "+1",
        "1e",
        "1e400",
        "1e-400",
        "1E+5",
        "1.e5",
        ".e5",
        "-0",
        "-0i",
        "007",
        "9223372036854775807i",
        "9223372036854775808i",
        "18446744073709551615u",
        "1_0",
        "0x1",
        "-1u",
        "1.5i",
        "NaN",
        "nan",
        "inf",
        "-Inf",
        "tRUE",
        "true ",
        "fals",
        "",
        "x",
        "\"",
        "\"a\"b",
        "\"a\"\"b\"",
        "2.2250738585072011e-308",
        "0.1000000000000000055511151231257827",
        "1\r",
    ]);
    let boolean =
        select(vec!["t", "T", "true", "True", "TRUE", "f", "F", "false", "False", "FALSE"]);
    prop_oneof![
        6 => "-?[0-9]{1,4}(\\.[0-9]{1,4})?([eE][+-]?[0-9]{1,2})?",
        3 => "-?[0-9]{1,20}i",
        3 => "[0-9]{1,20}u",
        3 => boolean.prop_map(str::to_owned),
        6 => "\"([a-c ,=#\n\r\t']|\\\\\"|\\\\\\\\|\\\\[a-c, =]){0,6}\"",
        2 => odd.prop_map(str::to_owned),
    ]
}

fn end() -> impl Strategy<Value = String> {
    let odd = select(vec![
        " ",
        " 1 ",
        "  1  ",
        " -",
        " --1",
        " 1.0",
        " 1x",
        " +1",
        "\t1",
        " 1\r",
        "\r",
        " 1 2",
        " 9223372036854775806",
        " 9223372036854775807",
        " -9223372036854775807",
        " -0",
        " 007",
    ]);
    prop_oneof![
        10 => Just(String::new()),
        10 => " {1,2}-?[0-9]{1,19}",
        2 => odd.prop_map(str::to_owned),
    ]
}
