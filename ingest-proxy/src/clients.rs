//! Who may find the onion service (invariant S6): a folder with a file `NAME.auth` for each client, as C tor has it in
//! `authorized_clients`.
//!
//! The folder itself says that not everybody may: an empty one lets nobody in, and only its being gone
//! lets everybody. Public keys alone, so nothing here is secret.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    str::FromStr,
};

use data_encoding::BASE32_NOPAD;
use undertone_storage::make_private_folder;

use crate::error::{Error, ErrorKind};

/// How many there may be: beyond that the descriptor outgrows what directories take (50,000 bytes).
pub const CLIENTS_LIMIT: usize = 160;
const FOLDER: &str = "clients";
const EXTENSION: &str = "auth";
const PREFIX: &str = "descriptor:x25519:";
/// In bytes; a file's name may have 255.
const NAME_LIMIT: usize = 64;
/// More is no key.
const FILE_LIMIT: u64 = 1_024;

/// The clients, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clients(BTreeMap<String, ClientPublicKey>);

/// The public key of a client (X25519), whose secret half the client has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ClientPublicKey([u8; 32]);

/// A text that is no public key of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "no public key of a client: that is `{PREFIX}` and 52 letters and digits, as `undertone client-key new` prints it"
)]
pub struct NoClientKey;

impl Clients {
    /// Those of a data folder; none if everybody may find the service.
    ///
    /// # Errors
    /// [`ErrorKind::Clients`], with the file, if one holds no key; [`ErrorKind::Storage`] if it can't be read.
    pub fn load(data_dir: &Path) -> Result<Option<Self>, Error> {
        let folder = data_dir.join(FOLDER);
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            entries => entries.map_err(|error| failed(&folder).because(error))?,
        };
        let mut clients = BTreeMap::new();
        for entry in entries {
            let path = entry.map_err(|error| failed(&folder).because(error))?.path();
            let Some(name) = name_of(&path) else { continue };
            let wrong = |why: String| {
                Error::new(ErrorKind::Clients, format!("client {}", path.display())).because(why)
            };
            check_name(&name).map_err(wrong)?;
            let text = read(&path).map_err(|error| failed(&path).because(error))?;
            let key = text.trim().parse().map_err(|error: NoClientKey| wrong(error.to_string()))?;
            clients.insert(name, key);
        }
        if clients.len() > CLIENTS_LIMIT {
            return Err(too_many(clients.len()));
        }
        Ok(Some(Self(clients)))
    }

    /// Adds a client. The first one makes the service one that not everybody may find. Returns how many there are now.
    ///
    /// # Errors
    /// [`ErrorKind::Clients`] if there is another of this name, or with this key, or there are too many.
    pub fn add(data_dir: &Path, name: &str, key: ClientPublicKey) -> Result<usize, Error> {
        let refused = |why: String| Error::new(ErrorKind::Clients, "add the client").because(why);
        check_name(name).map_err(refused)?;
        let clients = Self::load(data_dir)?.unwrap_or_default();
        match clients.0.iter().find(|(other, known)| *other == name || **known == key) {
            Some((other, known)) if *other == name && *known == key => return Ok(clients.len()),
            Some((other, _)) if *other == name => {
                return Err(refused(format!(
                    "{name} has another key: `client remove {name}` first"
                )));
            }
            Some((other, _)) => return Err(refused(format!("{other} has this key already"))),
            None if clients.len() >= CLIENTS_LIMIT => return Err(too_many(clients.len() + 1)),
            None => {}
        }
        let folder = data_dir.join(FOLDER);
        make_private_folder(&folder).map_err(|error| failed(&folder).because(error))?;
        let path = folder.join(format!("{name}.{EXTENSION}"));
        write(&folder, &path, &format!("{key}\n")).map_err(|error| failed(&path).because(error))?;
        Ok(clients.len() + 1)
    }

    /// Removes a client. Returns how many there are now; none if everybody may find the service from now on.
    ///
    /// # Errors
    /// [`ErrorKind::Clients`] if there is none of this name, or it is the last one and `open` doesn't say that
    /// everybody may.
    pub fn remove(data_dir: &Path, name: &str, open: bool) -> Result<Option<usize>, Error> {
        let refused =
            |why: String| Error::new(ErrorKind::Clients, "remove the client").because(why);
        let clients = Self::load(data_dir)?.unwrap_or_default();
        if !clients.0.contains_key(name) {
            return Err(refused(format!("there is no client {name:?}; `client list` names them")));
        }
        let last = clients.len() == 1;
        if open && !last {
            return Err(refused("--open is for the last one, and there are others".to_owned()));
        }
        let folder = data_dir.join(FOLDER);
        let path = folder.join(format!("{name}.{EXTENSION}"));
        fs::remove_file(&path).map_err(|error| failed(&path).because(error))?;
        if open {
            fs::remove_dir(&folder).map_err(|error| failed(&folder).because(error))?;
            return Ok(None);
        }
        Ok(Some(clients.len() - 1))
    }

    /// Name and key of each, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ClientPublicKey)> {
        self.0.iter().map(|(name, key)| (name.as_str(), key))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none, so that nobody may find the service.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for ClientPublicKey {
    type Err = NoClientKey;

    fn from_str(text: &str) -> Result<Self, NoClientKey> {
        let key = text.strip_prefix(PREFIX).unwrap_or(text);
        let bytes =
            BASE32_NOPAD.decode(key.to_ascii_uppercase().as_bytes()).map_err(|_| NoClientKey)?;
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| NoClientKey)?;
        // With nothing in it anybody could compute what the client and the service have in common.
        if bytes == [0; 32] { Err(NoClientKey) } else { Ok(Self(bytes)) }
    }
}

impl fmt::Display for ClientPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", BASE32_NOPAD.encode(&self.0))
    }
}

impl fmt::Debug for ClientPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientPublicKey({}…)", &BASE32_NOPAD.encode(&self.0)[..6])
    }
}

/// The client that a file is for; none for anything else, such as what is being written.
fn name_of(path: &Path) -> Option<String> {
    let is_key = path.extension().is_some_and(|extension| extension == EXTENSION);
    path.file_stem().filter(|_| is_key).map(|stem| stem.to_string_lossy().into_owned())
}

fn check_name(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    let fits = (1..=NAME_LIMIT).contains(&name.len());
    if fits && name.chars().all(plain) && !name.starts_with('-') {
        return Ok(());
    }
    Err(format!("a name has 1 to {NAME_LIMIT} of a-z, 0-9, - and _, and doesn't begin with -"))
}

fn too_many(number: usize) -> Error {
    Error::new(ErrorKind::Clients, format!("{number} clients are too many")).because(format!(
        "Tor's directories take descriptors of up to 50,000 bytes, which is room for {CLIENTS_LIMIT}: give several \
         machines the same key, or run another proxy"
    ))
}

fn failed(path: &Path) -> Error {
    Error::new(ErrorKind::Storage, format!("the clients in {}", path.display()))
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    io::Read::read_to_string(&mut io::Read::take(fs::File::open(path)?, FILE_LIMIT), &mut text)?;
    Ok(text)
}

/// Written whole or not at all: a proxy that runs reads what is there.
fn write(folder: &Path, path: &Path, text: &str) -> io::Result<()> {
    let new: PathBuf = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> ClientPublicKey {
        ClientPublicKey([number.max(1); 32])
    }

    fn told<T: fmt::Debug>(result: Result<T, Error>) -> String {
        format!("{:#}", anyhow::Error::from(result.unwrap_err()))
    }

    #[test]
    fn clients_are_added_listed_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        assert_eq!(Clients::load(at).unwrap(), None);
        assert_eq!(Clients::add(at, "attic", key(1)).unwrap(), 1);
        assert_eq!(Clients::add(at, "attic", key(1)).unwrap(), 1, "it is there already");
        assert_eq!(Clients::add(at, "cellar-2", key(2)).unwrap(), 2);
        let file = fs::read_to_string(at.join("clients/attic.auth")).unwrap();
        assert_eq!(file, format!("{}\n", key(1)));
        let known = Clients::load(at).unwrap().unwrap();
        assert_eq!(known.iter().collect::<Vec<_>>(), [("attic", &key(1)), ("cellar-2", &key(2))]);

        assert!(told(Clients::add(at, "attic", key(3))).contains("has another key"));
        assert!(told(Clients::add(at, "other", key(2))).contains("cellar-2 has this key"));
        for name in ["", "-x", "A", "ä", "a.b", "a/b", "..", &"a".repeat(65)] {
            assert!(told(Clients::add(at, name, key(9))).contains("a name has"), "{name}");
        }
        assert!(told(Clients::remove(at, "nobody", false)).contains("there is no client"));
        assert!(told(Clients::remove(at, "attic", true)).contains("there are others"));
        assert_eq!(Clients::remove(at, "attic", false).unwrap(), Some(1));
    }

    #[test]
    fn s6_without_its_last_client_a_service_is_not_opened_to_everybody() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        Clients::add(at, "attic", key(1)).unwrap();
        assert_eq!(Clients::remove(at, "attic", false).unwrap(), Some(0));
        assert_eq!(Clients::load(at).unwrap(), Some(Clients::default()), "nobody, not everybody");
        Clients::add(at, "attic", key(1)).unwrap();
        assert_eq!(Clients::remove(at, "attic", true).unwrap(), None);
        assert_eq!(Clients::load(at).unwrap(), None, "everybody, as was asked for");
        // A file that is no key lets nobody in by mistake, and nobody out.
        Clients::add(at, "attic", key(1)).unwrap();
        fs::write(at.join("clients/broken.auth"), "descriptor:x25519:AAAA").unwrap();
        assert!(told(Clients::load(at)).contains("broken.auth"));
    }

    #[test]
    fn s6_more_clients_than_a_descriptor_has_room_for_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        for number in 0..CLIENTS_LIMIT {
            Clients::add(at, &format!("c{number}"), key(number as u8 + 1)).unwrap();
        }
        assert!(told(Clients::add(at, "more", key(255))).contains("50,000 bytes"));
        assert_eq!(Clients::load(at).unwrap().unwrap().len(), CLIENTS_LIMIT);
    }

    #[test]
    fn keys_are_read_as_they_are_printed_and_without_what_stands_before_them() {
        let text = "descriptor:x25519:R5AMLLNWR4SWESXFWIKOU5T2N3EU3AU5HV5V4GWRXJXT4IJYFBPQ";
        let read: ClientPublicKey = text.parse().unwrap();
        assert_eq!(read.to_string(), text);
        assert_eq!(text[18..].to_lowercase().parse(), Ok(read));
        for wrong in
            ["", PREFIX, &text[..69], &text.replace("x25519", "ed25519"), &format!("{text}A")]
        {
            assert_eq!(wrong.parse::<ClientPublicKey>(), Err(NoClientKey), "{wrong}");
        }
    }
}
