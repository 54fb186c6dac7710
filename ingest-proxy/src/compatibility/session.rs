//! Sessions of clients who sign nothing.
//!
//! Their IDs are UUIDs of other versions than those of verified sessions (8), so that none can be chosen,
//! or come about, that is one of these: drawn for a circuit, of version 4; made of a client's own tag
//! and a secret of this proxy, of version 5. Who knows a client's tag can write as this client, as with
//! TorfluxDB; the database doesn't have it.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use rand::{TryRng, rngs::SysRng};
use undertone_storage::make_private_folder;
use undertone_wire::{Name, Point, session::SessionId};

use crate::{
    error::{Error, ErrorKind},
    front::Circuit,
};

/// The secret, in the data folder.
const FILE: &str = "compatibility-secret";
const SECRET_BYTES: usize = 32;

/// By what sessions are told apart.
pub(super) struct ClientSessions {
    own: Option<Own>,
}

/// What a client's own sessions are made with.
struct Own {
    tag: String,
    secret: [u8; SECRET_BYTES],
}

impl ClientSessions {
    /// By circuits.
    pub(super) fn by_circuit() -> Self {
        Self { own: None }
    }

    /// By this tag; a client without it has its circuit's session.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] if the secret can be neither read nor made.
    pub(super) fn by_tag(data_dir: &Path, tag: &str) -> Result<Self, Error> {
        let secret = secret(data_dir)?;
        Ok(Self { own: Some(Own { tag: tag.to_owned(), secret }) })
    }

    /// The client's own session, which is no tag of the point any more; none where nobody asks for it.
    pub(super) fn take_tag(&self, point: &mut Point) -> Option<Name> {
        self.own.as_ref().and_then(|own| point.tags.remove(own.tag.as_str()))
    }

    /// Whose points with this tag are that come on this circuit; none if the circuit is an agent's
    /// (invariant P7).
    pub(super) fn of(&self, tag: Option<&str>, circuit: &Circuit) -> Option<SessionId> {
        let of_circuit = circuit.unsigned(|| SessionId::of_circuit(rand::random()))?;
        Some(match (&self.own, tag) {
            (Some(own), Some(tag)) => SessionId::of_client(&own.secret, tag),
            _ => of_circuit,
        })
    }
}

impl fmt::Debug for ClientSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tag = self.own.as_ref().map(|own| &own.tag);
        f.debug_struct("ClientSessions").field("tag", &tag).finish_non_exhaustive()
    }
}

/// Reads the secret, or makes it where there is none.
fn secret(data_dir: &Path) -> Result<[u8; SECRET_BYTES], Error> {
    let path = data_dir.join(FILE);
    let failed = |doing: &str| {
        Error::new(ErrorKind::Storage, format!("{doing} the secret {}", path.display()))
    };
    match fs::read(&path) {
        Ok(bytes) => bytes.try_into().map_err(|_| {
            failed("read").because(
                "it isn't 32 bytes long: put back the one that was, or remove it, after which all \
                 clients' sessions are new ones",
            )
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut secret = [0; SECRET_BYTES];
            SysRng.try_fill_bytes(&mut secret).map_err(|error| failed("draw").because(error))?;
            make_private_folder(data_dir).map_err(|error| failed("make").because(error))?;
            write(data_dir, &path, &secret).map_err(|error| failed("write").because(error))?;
            Ok(secret)
        }
        Err(error) => Err(failed("read").because(error)),
    }
}

/// Written beside and moved, so that there is never half of it.
fn write(folder: &Path, path: &Path, secret: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    // What lay there may have had another.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(secret)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(folder: &Path) -> ClientSessions {
        ClientSessions::by_tag(folder, "session").unwrap()
    }

    #[test]
    fn s3_a_client_s_session_is_the_same_over_circuits_and_restarts_and_is_no_verified_one() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let of = |folder: &Path, tag| sessions(folder).of(Some(tag), &Circuit::default()).unwrap();
        let session = of(folder.path(), "mine");
        assert_eq!(session, of(folder.path(), "mine"));
        assert_ne!(session, of(folder.path(), "yours"));
        assert_ne!(session, of(other.path(), "mine"), "another proxy's secret");
        // A verified session's ID as a tag becomes something else.
        let verified = undertone_wire::session::SessionKey::from_seed(&[1; 32]).id();
        let taken = of(folder.path(), Box::leak(verified.to_string().into_boxed_str()));
        assert_ne!(taken, verified);
        let version = |id: SessionId| id.to_string().as_bytes()[14];
        assert_eq!((version(verified), version(session), version(taken)), (b'8', b'5', b'5'));
        let path = folder.path().join(FILE);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, b"short").unwrap();
        let error = ClientSessions::by_tag(folder.path(), "session").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Storage);
    }

    #[test]
    fn s3_without_a_tag_of_its_own_a_client_has_its_circuit_s_session() {
        let folder = tempfile::tempdir().unwrap();
        let (circuit, other) = (Circuit::default(), Circuit::default());
        for sessions in [ClientSessions::by_circuit(), sessions(folder.path())] {
            let session = sessions.of(None, &circuit).unwrap();
            assert_eq!(sessions.of(None, &circuit), Some(session));
            assert_ne!(sessions.of(None, &other), Some(session));
            assert_eq!(session.to_string().as_bytes()[14], b'4');
        }
        let by_circuit = ClientSessions::by_circuit();
        assert_eq!(by_circuit.of(Some("mine"), &circuit), by_circuit.of(None, &circuit));
    }
}
