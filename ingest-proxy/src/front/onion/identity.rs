//! The identity in arti's keystore: read to be backed up, written when it comes from elsewhere.
//!
//! arti keeps a key in OpenSSH's format, mode 0600, and replaces it whole. Its scalar is reduced there,
//! which changes neither the address nor any signature.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tor_hscrypto::pk::HsIdKeypair;
use tor_hsservice::{HsIdKeypairSpecifier, HsNickname};
use tor_keymgr::{ArtiNativeKeystore, KeyMgr, KeyMgrBuilder, KeystoreSelector};
use tor_llcrypto::pk::ed25519::ExpandedKeypair;
use undertone_storage::make_private_folder;
use zeroize::Zeroizing;

use super::{DEFAULTS, NICKNAME};
use crate::{
    error::{Error, ErrorKind},
    identity::IdentityKey,
};

/// The folder with an onion service's keys and state, in the keystore and in the state.
const SERVICES: &str = "hss";
/// How the file of the identity begins.
const IDENTITY_FILE: &str = "ks_hs_id.";

/// Arti's keystore, opened without Tor.
pub(crate) struct Keystore {
    keys: KeyMgr,
    nickname: HsNickname,
    state: PathBuf,
}

impl Keystore {
    /// Opens the keystore in `folder`, or makes it there. `tor` is arti's own configuration in TOML.
    ///
    /// # Errors
    /// [`ErrorKind::Tor`] if that isn't a configuration, or the keystore can't be used.
    pub(crate) fn open(folder: &Path, tor: &str) -> Result<Self, Error> {
        make_private_folder(folder)
            .map_err(|error| Error::new(ErrorKind::Storage, "open Tor's folder").because(error))?;
        let folder = folder.canonicalize().map_err(|e| failed("find Tor's folder").because(e))?;
        let state = folder.join("state");
        let tor = undertone_tor::configuration(&[DEFAULTS, tor], &state, &folder.join("cache"))
            .map_err(|error| failed("read `[tor]`").because(error))?;
        let keystore =
            ArtiNativeKeystore::from_path_and_mistrust(state.join("keystore"), tor.fs_mistrust())
                .map_err(|error| failed("open the keystore").because(error))?;
        let keys = KeyMgrBuilder::default()
            .primary_store(Box::new(keystore))
            .build()
            .map_err(|error| failed("open the keystore").because(error))?;
        let nickname = NICKNAME.parse().map_err(|_| failed("name the onion service"))?;
        Ok(Self { keys, nickname, state })
    }

    /// The identity, if there is one.
    pub(crate) fn read(&self) -> Result<Option<IdentityKey>, Error> {
        let failed = || failed("read the onion service's identity");
        let pair = self
            .keys
            .get::<HsIdKeypair>(&self.specifier())
            .map_err(|error| failed().because(error))?;
        let Some(pair) = pair else { return Ok(None) };
        let secret = Zeroizing::new(ExpandedKeypair::from(pair).to_secret_key_bytes());
        IdentityKey::new(secret).map(Some).ok_or_else(|| failed().because("it is no key"))
    }

    /// Makes this key the identity, and forgets what was derived from the one before: a descriptor of
    /// half the one and half the other would be of use to nobody.
    pub(crate) fn write(&self, key: &IdentityKey) -> Result<(), Error> {
        let failed = || failed("write the onion service's identity");
        self.forget_derived().map_err(|error| failed().because(error))?;
        let pair = ExpandedKeypair::from_secret_key_bytes(**key.secret())
            .ok_or_else(|| failed().because("it is no key"))?;
        self.keys
            .insert(HsIdKeypair::from(pair), &self.specifier(), KeystoreSelector::Primary, true)
            .map_err(|error| failed().because(error))?;
        match self.read()? {
            Some(written) if written.address() == key.address() => Ok(()),
            _ => Err(failed().because("the keystore has another one than was written")),
        }
    }

    fn specifier(&self) -> HsIdKeypairSpecifier {
        HsIdKeypairSpecifier::new(self.nickname.clone())
    }

    /// Deletes keys of time periods and introduction points, and what is known of the latter. The identity stays until it is
    /// replaced: whoever is killed in between still has it.
    fn forget_derived(&self) -> io::Result<()> {
        let keys = self.state.join("keystore").join(SERVICES).join(NICKNAME);
        for entry in entries(&keys)? {
            let entry = entry?;
            if !entry.file_name().to_string_lossy().starts_with(IDENTITY_FILE) {
                remove(&entry.path())?;
            }
        }
        remove(&self.state.join(SERVICES).join(NICKNAME))
    }
}

fn failed(doing: &str) -> Error {
    Error::new(ErrorKind::Tor, doing)
}

/// What is in a folder; nothing if there is none.
fn entries(folder: &Path) -> io::Result<Vec<io::Result<fs::DirEntry>>> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(entries.collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Removes a file, or a folder with all in it, if it is there.
fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
