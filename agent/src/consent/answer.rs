//! A user's answer, and the file that it is kept in.
//!
//! A text that people can read and write: the first word is the answer, and what follows the first line
//! is the schema that it was given for, as TOML. What can't be understood is no consent.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use undertone_wire::schema::Schema;

/// No schema is as long as this, in bytes.
const LENGTH_LIMIT: u64 = 1 << 20;

/// What a user answered.
///
/// As a file, [`Consent::file`](crate::Consent::file): its first word is `granted` or `denied`; everything else, also a file that isn't
/// there or can't be read, is [`Answer::Unasked`]. From the second line on it may have the schema that the
/// answer was given for, as [`Schema::to_toml`] writes it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Answer {
    /// Nobody answered.
    Unasked,
    /// They agreed to what this schema says and to nothing beyond it; without one, to whatever the
    /// program declares.
    Granted(Option<Schema>),
    /// They said no.
    Denied,
}

impl Answer {
    /// What a file says.
    pub fn read(path: &Path) -> Self {
        let text = open(path, OpenOptions::new().read(true)).and_then(|file| text_of(&file));
        text.map_or(Self::Unasked, |text| Self::parse(&text))
    }

    /// Writes it, all or nothing, into a file of mode 0600; the folder is made if it isn't there. Nothing
    /// is written where the file says the same already.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let text = self.text();
        let found = open(path, OpenOptions::new().read(true)).and_then(|file| text_of(&file));
        if found.is_ok_and(|found| found == text) {
            return Ok(());
        }
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        let folder = folder.unwrap_or(Path::new("."));
        if !folder.exists() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        // Two who write at once don't write one file.
        let mut name = OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{:016x}", rand::random::<u64>()));
        let new = folder.join(name);
        let written = replace(path, &new, &text);
        if written.is_err() {
            let _ = fs::remove_file(&new);
        }
        written?;
        // So that the new name survives a power cut, too.
        File::open(folder)?.sync_all()
    }

    pub(crate) fn parse(text: &str) -> Self {
        let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
        match first.split_whitespace().next() {
            Some("denied") => Self::Denied,
            Some("granted") => {
                let says = |line: &str| !line.trim().is_empty() && !line.trim().starts_with('#');
                match rest.lines().any(says).then(|| Schema::from_toml(rest)) {
                    None => Self::Granted(None),
                    Some(Ok(schema)) => Self::Granted(Some(schema)),
                    // Never more than was agreed to.
                    Some(Err(_)) => Self::Unasked,
                }
            }
            _ => Self::Unasked,
        }
    }

    pub(crate) fn text(&self) -> String {
        match self {
            Self::Unasked => "unasked\n".to_owned(),
            Self::Denied => "denied\n".to_owned(),
            Self::Granted(None) => "granted\n".to_owned(),
            Self::Granted(Some(schema)) => format!("granted\n{}", agreed(schema)),
        }
    }
}

/// A yes without a schema, which one can be written beside.
///
/// It is added to the very file that was read: an answer that replaces that file meanwhile stays, and a no
/// that is written into it stays its first word.
pub(super) struct Bare(File);

impl Bare {
    /// None if the file says anything else, or if another process is about to write a schema beside it.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = open(path, OpenOptions::new().read(true).append(true))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(None),
            locked => locked?,
        }
        let bare = Answer::parse(&text_of(&file)?) == Answer::Granted(None);
        Ok(bare.then_some(Self(file)))
    }

    /// Writes beside it what was agreed to.
    pub(super) fn complete(self, schema: &Schema) -> io::Result<()> {
        let before = self.0.metadata()?.len();
        let mut file = &self.0;
        // What a person wrote need not end its line.
        let written = file.write_all(format!("\n{}", agreed(schema)).as_bytes());
        written.and_then(|()| file.sync_all()).inspect_err(|_| {
            let _ = file.set_len(before);
        })
    }
}

fn agreed(schema: &Schema) -> String {
    format!(
        "\n# This was agreed to (version {}). What goes beyond it is not sent until it is agreed to as \
         well.\n{}",
        schema.version(),
        schema.to_toml()
    )
}

/// A pipe in the place of an answer would block the host.
fn open(path: &Path, options: &OpenOptions) -> io::Result<File> {
    match path.is_file() {
        true => options.open(path),
        false => Err(io::ErrorKind::NotFound.into()),
    }
}

fn text_of(file: &File) -> io::Result<String> {
    let mut text = String::new();
    file.take(LENGTH_LIMIT).read_to_string(&mut text).map(|_| text)
}

/// Writes `new` and puts it in the place of `path`.
fn replace(path: &Path, new: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(new, path)
}
