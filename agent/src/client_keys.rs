//! Keys by which an agent finds an onion service that not everybody may find (invariant S6).
//!
//! They are kept as C tor keeps them in its `ClientOnionAuthDir`: a file `NAME.auth_private` for each service, mode 0600.
//! Tor in this process reads them there, each time that it looks for the service; nothing copies them.

#[cfg(feature = "tor")]
use std::os::unix::fs::PermissionsExt;
use std::{
    fmt, fs, io,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use curve25519_dalek::MontgomeryPoint;
use data_encoding::BASE32_NOPAD;
use rand::{TryRng, rngs::SysRng};
use undertone_wire::endpoint::OnionAddress;
use zeroize::Zeroizing;

/// What files with keys end in; C tor looks at no others.
const EXTENSION: &str = "auth_private";
/// Permissions of others than the owner.
#[cfg(feature = "tor")]
const OTHERS: u32 = 0o077;

/// A pair of keys: the agent has the secret one, the ingest side is told the public one.
pub struct ClientKey {
    secret: Zeroizing<[u8; 32]>,
}

impl ClientKey {
    /// Draws one.
    ///
    /// # Errors
    /// If the operating system gives no randomness.
    pub fn draw() -> io::Result<Self> {
        let mut secret = Zeroizing::new([0; 32]);
        SysRng.try_fill_bytes(&mut *secret).map_err(io::Error::other)?;
        Ok(Self { secret })
    }

    /// What the ingest side is told: `descriptor:x25519:` and the public key in base32, which is what C tor
    /// has in `authorized_clients`, too.
    pub fn public_line(&self) -> String {
        let public = MontgomeryPoint::mul_base_clamped(*self.secret);
        format!("descriptor:x25519:{}", BASE32_NOPAD.encode(public.as_bytes()))
    }

    /// Writes the secret key into a folder, which is made if there is none, for the agent to find this service
    /// with. Returns the new file.
    ///
    /// # Errors
    /// If there is a key for this service already, or the disk refuses.
    pub fn write(&self, folder: &Path, onion: &OnionAddress) -> io::Result<PathBuf> {
        let file = Self::file(folder, onion);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let label = onion.as_str().trim_end_matches(".onion");
        let encoded = Zeroizing::new(BASE32_NOPAD.encode(&*self.secret));
        let line = Zeroizing::new(format!("{label}:descriptor:x25519:{}\n", *encoded));
        let mut open = fs::OpenOptions::new();
        let mut written = open.write(true).create_new(true).mode(0o600).open(&file)?;
        written.write_all(line.as_bytes())?;
        written.sync_all()?;
        Ok(file)
    }

    /// The file that [`ClientKey::write`] makes.
    pub fn file(folder: &Path, onion: &OnionAddress) -> PathBuf {
        let label = onion.as_str().trim_end_matches(".onion");
        folder.join(format!("{label}.{EXTENSION}"))
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientKey").finish_non_exhaustive()
    }
}

/// Looks at a folder before Tor does, which would pass over what is wrong with it. Tells nothing of the keys.
#[cfg(feature = "tor")]
pub(crate) fn check(folder: &Path) -> Result<(), String> {
    let unreadable = |error: io::Error| error.to_string();
    let mut found = false;
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_none_or(|extension| extension != EXTENSION) {
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mode = fs::metadata(&path).map_err(unreadable)?.permissions().mode() & 0o777;
        if mode & OTHERS != 0 {
            return Err(format!("others have access to {name} (mode {mode:04o}): chmod 600"));
        }
        let text = Zeroizing::new(fs::read_to_string(&path).map_err(unreadable)?);
        if !is_key(text.trim()) {
            return Err(format!("{name} is no ADDRESS:descriptor:x25519:KEY"));
        }
        found = true;
    }
    if found { Ok(()) } else { Err(format!("there is no file *.{EXTENSION} in it")) }
}

/// Whether this is what C tor has in such a file.
#[cfg(feature = "tor")]
fn is_key(text: &str) -> bool {
    let Some((label, key)) = text.split_once(":descriptor:x25519:") else { return false };
    let decoded = BASE32_NOPAD.decode(key.to_ascii_uppercase().as_bytes()).map(Zeroizing::new);
    let is_address = format!("{label}.onion").parse::<OnionAddress>().is_ok();
    is_address && decoded.is_ok_and(|bytes| bytes.len() == 32)
}

#[cfg(all(test, feature = "tor"))]
mod tests {
    use super::*;

    const ONION: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";

    #[test]
    fn s6_a_client_s_key_is_its_owners_alone_and_shown_to_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys");
        let onion = ONION.parse().unwrap();
        let key = ClientKey::draw().unwrap();
        let file = key.write(&keys, &onion).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&keys), mode(&file)), (0o700, 0o600));
        let secret = BASE32_NOPAD.encode(&*key.secret);
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(text, format!("{}:descriptor:x25519:{secret}\n", &ONION[..56]));
        let shown = format!("{key:?} {}", key.public_line());
        assert!(
            !shown.contains(&secret)
                && !shown.contains(&format!("{:?}", key.secret[0..4].to_vec()))
        );
        assert_eq!(check(&keys), Ok(()));

        let again = ClientKey::draw().unwrap();
        assert_ne!(again.public_line(), key.public_line());
        let error = again.write(&keys, &onion).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "a key is never overwritten");
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }

    /// The other side of the comparison was computed by OpenSSL.
    #[test]
    fn the_public_key_is_that_of_x25519() {
        let secret = std::array::from_fn(|index| index as u8);
        let key = ClientKey { secret: Zeroizing::new(secret) };
        let expected = "descriptor:x25519:R5AMLLNWR4SWESXFWIKOU5T2N3EU3AU5HV5V4GWRXJXT4IJYFBPQ";
        assert_eq!(key.public_line(), expected);
    }

    #[test]
    fn what_is_wrong_with_a_folder_is_told_before_tor_passes_over_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let told = |what: &str| {
            let error = check(at).unwrap_err();
            assert!(error.contains(what), "{error}");
        };
        told("no file *.auth_private");
        let file = ClientKey::draw().unwrap().write(at, &ONION.parse().unwrap()).unwrap();
        fs::write(at.join("notes.txt"), "what else is there is not looked at").unwrap();
        assert_eq!(check(at), Ok(()));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        told("chmod 600");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        for wrong in [&text[1..], &text[..text.len() - 9], "descriptor:x25519:AAAA", ""] {
            fs::write(&file, wrong).unwrap();
            told("is no ADDRESS:descriptor:x25519:KEY");
        }
        assert!(check(&at.join("nowhere")).is_err());
    }
}
