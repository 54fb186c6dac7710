use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use data_encoding::{BASE64, HEXLOWER, HEXUPPER};
use proptest::prelude::*;

use super::{files::write_new, *};
use crate::error::ErrorKind;

/// A key that C tor 0.4.9.11 made for this test, and its `hostname`.
const SECRET: &str = "8053a6211b15b00fac420ab1c027a91711712dab682a4da5c035f85d7a1f1b40\
                      a972b9053ad9b54aeb4c8cc363c2b2773bd2dbfd747fd34ca58e1965b9989ab3";
const ADDRESS: &str = "46ivtpejvjcaper3nwc2d2ngc2dziqwyamthonfwebczvab2o2ycpjid.onion";
/// RFC 8032, section 7.1, test 1.
const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
const SEED_PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

fn bytes(hex: &str) -> Vec<u8> {
    HEXLOWER.decode(hex.as_bytes()).unwrap()
}

fn c_tor() -> Vec<u8> {
    [&C_TOR_HEADER[..], &bytes(SECRET)].concat()
}

fn address(bytes: &[u8], seeds: Seeds) -> Result<String, KeyError> {
    read(bytes, seeds).map(|key| key.address().to_string())
}

#[test]
fn s5_one_key_has_one_address_whatever_it_is_kept_in() {
    let upper = HEXUPPER.encode(&bytes(SECRET));
    let base64 = BASE64.encode(&bytes(SECRET));
    for (name, content) in [
        ("C tor's file", c_tor()),
        ("64 bytes", bytes(SECRET)),
        ("TorfluxDB's variable", SECRET.into()),
        ("in upper case, with a line's end", format!("{upper}\r\n").into()),
        ("a file of variables", format!("{TORFLUXDB_VARIABLE}={SECRET}\n").into()),
        ("a shell's", format!("export {TORFLUXDB_VARIABLE}='{SECRET}'\n").into()),
        ("Docker's", format!("{TORFLUXDB_VARIABLE} = \"{upper}\"").into()),
        ("the control port's", format!("ED25519-V3:{base64}").into()),
        ("the same, cut", format!("ED25519-V3:{}\n", base64.trim_end_matches('=')).into()),
    ] {
        assert_eq!(address(&content, Seeds::Refused).as_deref(), Ok(ADDRESS), "{name}");
    }
}

#[test]
fn s5_a_seed_is_expanded_only_if_it_is_called_one() {
    let public = bytes(SEED_PUBLIC).try_into().unwrap();
    let expected = OnionAddress::of_key(&public).to_string();
    let both = [bytes(SEED), bytes(SEED_PUBLIC)].concat();
    for (seed, refusal) in [
        (bytes(SEED), KeyError::Seed),
        (SEED.into(), KeyError::Seed),
        (both.clone(), KeyError::SeedAndPublic),
        (HEXLOWER.encode(&both).into(), KeyError::SeedAndPublic),
    ] {
        assert_eq!(address(&seed, Seeds::Expanded), Ok(expected.clone()));
        assert_eq!(address(&seed, Seeds::Refused), Err(refusal));
    }
    for other in [c_tor(), bytes(SECRET)] {
        assert_eq!(address(&other, Seeds::Expanded), Err(KeyError::NotSeed));
    }
}

#[test]
fn what_is_no_key_is_told_apart() {
    let public = b"== ed25519v1-public: type0 ==\0\0\0".to_vec();
    let clamped_zero = [&[0; 31][..], &[0x40], &[7; 32]].concat();
    let high = [&[0xf8; 31][..], &[0xff], &[7; 32]].concat();
    let not_expanded = [&[1][..], &bytes(SECRET)[1..]].concat();
    for (content, expected) in [
        (Vec::new(), KeyError::Empty),
        (b" \n".to_vec(), KeyError::Empty),
        (format!("{TORFLUXDB_VARIABLE}=\n").into(), KeyError::Empty),
        (c_tor()[..95].to_vec(), KeyError::CTorLength(95)),
        ([c_tor(), b"\n".to_vec()].concat(), KeyError::CTorLength(97)),
        ([C_TOR_HEADER.to_vec(), vec![0; 64]].concat(), KeyError::NotExpanded),
        ([C_TOR_HEADER.to_vec(), high].concat(), KeyError::NotExpanded),
        ([public, bytes(SEED_PUBLIC)].concat(), KeyError::OtherCTorFile),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\n".to_vec(), KeyError::OpenSsh),
        (SECRET[..126].into(), KeyError::Length(63)),
        (SECRET[..127].into(), KeyError::Length(63)),
        (format!("{SECRET}00").into(), KeyError::Length(65)),
        (not_expanded, KeyError::NotExpanded),
        (bytes(SECRET)[..63].to_vec(), KeyError::Unknown),
        (ADDRESS.into(), KeyError::Unknown),
        (b"ED25519-V3:not base64".to_vec(), KeyError::Unknown),
        (b"ED25519-V3:AAAA".to_vec(), KeyError::Length(3)),
        (format!("{TORFLUXDB_VARIABLE} {SECRET}").into(), KeyError::Unknown),
    ] {
        let shown = String::from_utf8_lossy(&content);
        assert_eq!(address(&content, Seeds::Refused), Err(expected), "{shown:?}");
    }
    // No more than a scalar that nobody has drawn.
    assert!(address(&clamped_zero, Seeds::Refused).is_ok());
}

#[test]
fn s5_debug_and_errors_show_no_key() {
    let mut shown = format!("{:?}", read(&c_tor(), Seeds::Refused).unwrap());
    for broken in [
        c_tor()[..90].to_vec(),
        SECRET[..100].into(),
        [bytes(SECRET), vec![1]].concat(),
        [&[1][..], &bytes(SECRET)[1..]].concat(),
        format!("ED25519-V3:{SECRET}").into(),
    ] {
        let error = read(&broken, Seeds::Refused).unwrap_err();
        shown += &format!("\n{error} {error:?}");
    }
    shown = shown.to_lowercase();
    let secret = bytes(SECRET);
    for part in secret.windows(3) {
        let numbers = format!("{part:?}");
        assert!(
            !shown.contains(numbers.trim_matches(['[', ']'])),
            "a part of the key is shown: {shown}"
        );
        assert!(!shown.contains(&HEXLOWER.encode(part)), "a part of the key is shown: {shown}");
    }
    assert!(!shown.contains(&ADDRESS[..10]), "the address is told in full: {shown}");
}

#[test]
fn s5_a_key_file_is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup");
    let key = read(&c_tor(), Seeds::Refused).unwrap();
    write_new(&file, &key).unwrap();
    let mode = |file: &Path| fs::metadata(file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    assert_eq!(fs::read(&file).unwrap(), c_tor());
    assert_eq!(read_file(&file, Seeds::Refused).unwrap().address().as_str(), ADDRESS);

    let error = write_new(&file, &key).unwrap_err();
    let told = format!("{:#}", anyhow::Error::from(error));
    assert!(told.contains("there is a file already"), "{told}");
    for others in [0o640, 0o604, 0o602, 0o620] {
        fs::set_permissions(&file, fs::Permissions::from_mode(others)).unwrap();
        let error = read_file(&file, Seeds::Refused).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Identity, "{others:o} was taken");
    }
}

proptest! {
    #[test]
    fn a_backup_is_read_as_the_same_key(seed in any::<[u8; 32]>()) {
        let key = read(&seed, Seeds::Expanded).unwrap();
        let again = read(&key.to_c_tor(), Seeds::Refused).unwrap();
        prop_assert_eq!(again.address(), key.address());
        prop_assert_eq!(again.secret.as_slice(), key.secret.as_slice());
    }

    #[test]
    fn nothing_makes_it_panic(
        start in 0..4_usize,
        bytes in proptest::collection::vec(any::<u8>(), 0..140),
    ) {
        let starts = [&b""[..], C_TOR_HEADER, b"ED25519-V3:", b"TORFLUXDB_ONIONKEY="];
        let content = [starts[start], &bytes].concat();
        let _ = (read(&content, Seeds::Refused), read(&content, Seeds::Expanded));
    }
}
