//! In place of a keystore where no Tor is compiled in: there is no value of this type.

use crate::{error::Error, identity::IdentityKey};

pub(crate) enum Keystore {}

impl Keystore {
    pub(crate) fn read(&self) -> Result<Option<IdentityKey>, Error> {
        match *self {}
    }

    pub(crate) fn write(&self, _: &IdentityKey) -> Result<(), Error> {
        match *self {}
    }
}
