//! The identity in a data folder: brought in, and copied out, while no proxy runs there.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use undertone_wire::endpoint::OnionAddress;

use super::{IdentityKey, Seeds, files, read_file};
use crate::{
    config::Config,
    error::{Error, ErrorKind},
    front::{self, Keystore},
    lock::FolderLock,
};

/// The identity of a data folder, for as long as no proxy uses it.
pub struct Identity {
    keystore: Keystore,
    data_dir: PathBuf,
    _lock: FolderLock,
}

/// What an import has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Imported {
    /// There was no identity; now there is.
    New,
    /// It was there already.
    Known,
    /// It took the place of another one, which is in this file now.
    Replaced(PathBuf),
}

impl Identity {
    /// Opens the keystore in the data folder, which is locked until this is dropped.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] if a proxy runs there; [`ErrorKind::Identity`] if the key is that of a tor in front;
    /// [`ErrorKind::Tor`] if the keystore can't be used.
    pub fn open(config: &Config) -> Result<Self, Error> {
        let lock = FolderLock::take(&config.data_dir)?;
        let keystore = front::keystore(config)?;
        Ok(Self { keystore, data_dir: config.data_dir.clone(), _lock: lock })
    }

    /// Its address, if there is one.
    ///
    /// # Errors
    /// [`ErrorKind::Tor`] if the keystore can't be read.
    pub fn address(&self) -> Result<Option<OnionAddress>, Error> {
        Ok(self.keystore.read()?.map(|key| key.address().clone()))
    }

    /// Makes this key the identity. Another one is put into a file in the data folder first, if that is wanted.
    ///
    /// # Errors
    /// [`ErrorKind::Identity`] if there is another one, and `replace` is not set.
    pub fn import(&self, key: &IdentityKey, replace: bool) -> Result<Imported, Error> {
        let imported = match self.keystore.read()? {
            Some(old) if old.address() == key.address() => return Ok(Imported::Known),
            Some(old) if !replace => {
                let what = format!("the data folder has an identity already: {}", old.address());
                return Err(Error::new(ErrorKind::Identity, what).because(
                    "`key import --replace` keeps that one in a file, and agents that report to it reach nobody",
                ));
            }
            Some(old) => Imported::Replaced(self.keep(&old)?),
            None => Imported::New,
        };
        self.keystore.write(key)?;
        Ok(imported)
    }

    /// Writes the key to a new file, which C tor can use as well.
    ///
    /// # Errors
    /// [`ErrorKind::Identity`] if there is no key; [`ErrorKind::Storage`] if the file exists or can't be written.
    pub fn backup(&self, file: &Path) -> Result<OnionAddress, Error> {
        let Some(key) = self.keystore.read()? else {
            let what = "there is no identity to back up: `address` or `run` makes one";
            return Err(Error::new(ErrorKind::Identity, what));
        };
        files::write_new(file, &key)?;
        Ok(key.address().clone())
    }

    /// Keeps a key that is about to be replaced. An earlier attempt may have got so far.
    fn keep(&self, old: &IdentityKey) -> Result<PathBuf, Error> {
        let name = old.address().as_str().trim_end_matches(".onion");
        let file = self.data_dir.join(format!("identity-{name}.backup"));
        match fs::symlink_metadata(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => files::write_new(&file, old)?,
            _ => match read_file(&file, Seeds::Refused) {
                Ok(kept) if kept.address() == old.address() => {}
                _ => {
                    let what = format!("keep the old identity: {} is in the way", file.display());
                    return Err(Error::new(ErrorKind::Identity, what));
                }
            },
        }
        Ok(file)
    }
}
