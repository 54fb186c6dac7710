//! Names: what they are made of, and which of them carry identity.
//!
//! A name whose parts say that a person or a machine is in it is refused, whatever would be in it:
//! such names are how identities get into telemetry. There is no way around but another name.

use super::SchemaError;

/// Tags that InfluxDB has a meaning of its own for; line protocol can't carry them.
const RESERVED_TAGS: [&str; 3] = ["time", "_field", "_measurement"];

/// The longest name, in characters.
const NAME_LIMIT: usize = 64;

/// Parts of names that mean somebody, or one machine.
#[rustfmt::skip]
const IDENTITIES: [&str; 53] = [
    "account", "addr", "address", "city", "cookie", "customer", "deviceid", "dir", "directory",
    "dns", "domain", "email", "file", "filename", "fingerprint", "firstname", "folder", "fqdn",
    "guid", "home", "host", "hostid", "hostname", "id", "imei", "imsi", "ip", "ipv4", "ipv6",
    "lastname", "latitude", "license", "location", "login", "longitude", "mac", "machineid", "mail",
    "nickname", "owner", "password", "path", "phone", "postcode", "serial", "serialnumber", "ssid",
    "token", "uid", "url", "user", "username", "uuid",
];

/// What as long as this consists of hexadecimal digits, some of them decimal, is taken for an ID.
const HEXADECIMAL_ID: usize = 12;
/// What as long as this consists of decimal digits is taken for a number of somebody's.
const DECIMAL_ID: usize = 9;

/// Whether a database has a meaning of its own for a tag.
pub(super) fn is_reserved(tag: &str) -> bool {
    RESERVED_TAGS.contains(&tag)
}

/// Names are `a-z0-9_`, in parts between dots: the same in every database, without any escaping.
pub(super) fn check_name(key: &str, name: &str) -> Result<(), SchemaError> {
    let well_formed = name.split('.').all(|part| {
        !part.is_empty() && part.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    });
    if !well_formed || name.len() > NAME_LIMIT {
        let shown: String = name.chars().take(20).collect();
        let reason = format!(
            "{shown:?} is no name: at most {NAME_LIMIT} of a-z, 0-9, _ and dots between them"
        );
        return Err(SchemaError::new(key, reason));
    }
    match looks_like(name) {
        Some(what) => {
            let reason = format!(
                "`{name}` looks like {what}, which can tell one machine or person from all others; \
                 name what it is instead"
            );
            Err(SchemaError::new(key, reason))
        }
        None => Ok(()),
    }
}

/// The same for what says what a number or a tag is: a measurement's name, a tag's key.
pub(super) fn check_telling_name(key: &str, name: &str) -> Result<(), SchemaError> {
    check_name(key, name)?;
    let identity = parts(name).find(|part| IDENTITIES.contains(part));
    match identity {
        Some(part) => {
            let reason = format!(
                "`{part}` in `{name}` names what tells one machine or person from all others, and that \
                 doesn't leave; count kinds of things instead, and call them by another name"
            );
            Err(SchemaError::new(key, reason))
        }
        None => Ok(()),
    }
}

fn parts(name: &str) -> impl Iterator<Item = &str> {
    name.split(['.', '_']).filter(|part| !part.is_empty())
}

/// What a name looks like, if it looks like somebody's.
fn looks_like(name: &str) -> Option<&'static str> {
    let parts: Vec<&str> = parts(name).collect();
    let decimal = |part: &&str| part.bytes().all(|b| b.is_ascii_digit());
    let hexadecimal = |part: &&str| part.bytes().all(|b| b.is_ascii_hexdigit());
    let octets = |run: &[&str]| run.iter().all(|part| part.parse::<u8>().is_ok());
    if parts.windows(4).any(octets) {
        return Some("an IP address");
    }
    if parts.windows(6).any(|run| run.iter().all(|part| part.len() == 2 && hexadecimal(part))) {
        return Some("a MAC address");
    }
    let uuid = |run: &[&str]| {
        run.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]) && run.iter().all(hexadecimal)
    };
    if parts.windows(5).any(uuid) {
        return Some("a UUID");
    }
    let is_id = |part: &&&str| {
        part.len() >= HEXADECIMAL_ID
            && hexadecimal(part)
            && part.bytes().any(|b| b.is_ascii_digit())
            || part.len() >= DECIMAL_ID && decimal(part)
    };
    parts.iter().find(is_id).map(|_| "an ID")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p2_names_that_carry_identity_are_refused_and_explained() {
        for name in
            ["host", "machine.hostname", "user_name.user", "disk_serial", "request_id", "mac"]
        {
            let error = check_telling_name("tags", name).unwrap_err();
            assert!(error.reason.contains("another name"), "{name}: {error}");
        }
        for (name, what) in [
            ("10.0.0.1", "an IP address"),
            ("from_192_168_1_20", "an IP address"),
            ("00_1a_2b_3c_4d_5e", "a MAC address"),
            ("001a2b3c4d5e", "an ID"),
            ("123e4567_e89b_12d3_a456_426614174000", "a UUID"),
            ("n.9007199254740992", "an ID"),
        ] {
            let error = check_name("tags", name).unwrap_err();
            assert!(error.reason.contains(what), "{name}: {error}");
        }
    }

    #[test]
    fn parts_of_words_and_short_numbers_are_names() {
        for name in [
            "fileserver",
            "userland",
            "files_opened",
            "ipc.calls",
            "hosted",
            "v1.2.3.4",
            "http_404",
        ] {
            assert_eq!(check_telling_name("name", name), Ok(()), "{name}");
        }
        for value in ["user", "2024_11_30", "facade", "deadbeef", "cafebabecafebabe"] {
            assert_eq!(check_name("tags", value), Ok(()), "{value}");
        }
    }

    #[test]
    fn the_list_has_no_word_twice() {
        assert!(IDENTITIES.is_sorted_by(|a, b| a < b));
    }
}
