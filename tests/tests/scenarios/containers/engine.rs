//! As much of a container engine as `unshare`, `mount` and `chroot` are: a program sees the file system
//! that its image and the compose file give it, read-only but for volumes, as the image's user.
//!
//! No images, no layers, and the network is this machine's.

use std::{
    collections::BTreeSet,
    fmt::Write,
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use undertone_tests::programs;

use super::{
    dockerfile::Dockerfile,
    stack::{Service, Stack},
};
use crate::fixtures::in_namespace;

/// What `distroless/cc` has of the libraries that a Rust program may want.
const LIBRARIES: [&str; 4] = ["ld-linux", "libc.so.6", "libgcc_s.so.1", "libm.so.6"];
/// Its accounts, which Arti looks at to judge who else may write to its files.
const ACCOUNTS: [(&str, &str); 3] = [
    (
        "passwd",
        "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n",
    ),
    ("group", "root:x:0:\nnonroot:x:65532:\n"),
    ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
];

/// A container that can be run.
pub(crate) struct Container {
    root: PathBuf,
    script: String,
    user: Option<String>,
}

impl Container {
    /// Lays out the root of a service's image, with the program that cargo has built for it.
    pub(crate) fn of(stack: &Stack, service: &Service<'_>, image: &Dockerfile) -> Result<Self> {
        let root = stack.folder().join("root");
        let mut container = Self { root, script: "set -e\n".to_owned(), user: None };
        let target = &image.command[0];
        let name = target.strip_prefix("/usr/local/bin/").context("a program of its own")?;
        let program = PathBuf::from(programs::binary(name)?.get_program());

        fs::create_dir_all(&container.root)?;
        container
            .line(&format!("mount --make-rprivate / && mount --bind {0} {0}", container.at("")));
        container.bind(&program, target, true)?;
        for library in libraries(&program)? {
            container.bind(&library, &library.to_string_lossy(), true)?;
        }
        for device in ["/dev/null", "/dev/urandom"] {
            container.bind(Path::new(device), device, false)?;
        }
        container.bind(Path::new("/proc"), "/proc", false)?;
        fs::create_dir_all(container.root.join("etc"))?;
        for (file, text) in ACCOUNTS {
            fs::write(container.root.join("etc").join(file), text)?;
        }

        // As an engine that isn't root does, whoever isn't root here is the user of the container.
        let is_root = rustix::process::geteuid().is_root();
        let user = image.last("USER").context("no USER")?;
        container.user = is_root.then(|| user.to_owned());
        let volume = image.last("VOLUME").context("no VOLUME")?;
        // The deepest come first.
        for mount in service.mounts()?.iter().rev() {
            if !mount.source.exists() {
                // A new volume has the image's folder's owner and mode.
                fs::create_dir_all(&mount.source)?;
                fs::set_permissions(&mount.source, fs::Permissions::from_mode(0o700))?;
                let number = user.split(':').next().and_then(|user| user.parse().ok());
                ensure!(number.is_some() && mount.target == volume, "{mount:?}");
                if is_root {
                    chown(&mount.source, number, number)?;
                }
            }
            container.bind(&mount.source, &mount.target, mount.read_only)?;
        }
        let temporary = service.text["tmpfs"].as_array().context("no tmpfs")?;
        for folder in temporary.iter().filter_map(|folder| folder.as_str()) {
            fs::create_dir_all(container.root.join(&folder[1..]))?;
            container.line(&format!("mount -t tmpfs -o mode=1777 tmpfs {}", container.at(folder)));
        }
        container.line(&format!("mount -o remount,ro,bind {}", container.at("")));
        Ok(container)
    }

    /// What is `/` in it.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A command in it, as the compose file or the image says it.
    pub(crate) fn command(&self, command: &[String]) -> Command {
        let mut inside = in_namespace("--mount");
        let script = format!("{}exec \"$@\"", self.script);
        inside.args(["sh", "-c", &script, "container", "setpriv", "--no-new-privs", "chroot"]);
        inside.args(self.user.iter().map(|user| format!("--userspec={user}")));
        inside.arg(&self.root).args(command).env_clear();
        // The image's, which has `mount` and `chroot` of this machine on it, too.
        inside.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        inside
    }

    fn bind(&mut self, source: &Path, target: &str, read_only: bool) -> Result<()> {
        let here = self.root.join(target.trim_start_matches('/'));
        if source.is_dir() {
            fs::create_dir_all(&here)?;
        } else {
            fs::create_dir_all(here.parent().context("a parent")?)?;
            fs::write(&here, "")?;
        }
        let at = self.at(target);
        if source.is_dir() {
            // In a volume there is no such folder yet.
            self.line(&format!("[ -d {at} ] || mkdir {at}"));
        }
        self.line(&format!("mount --rbind '{}' {at}", source.display()));
        if read_only {
            self.line(&format!("mount -o remount,ro,bind {at}"));
        }
        Ok(())
    }

    /// A path of the container, for the script.
    fn at(&self, path: &str) -> String {
        format!("'{}{path}'", self.root.display())
    }

    fn line(&mut self, line: &str) {
        let _ = writeln!(self.script, "{line}");
    }
}

/// What a program is linked to; none that its image lacks.
fn libraries(program: &Path) -> Result<BTreeSet<PathBuf>> {
    let output = Command::new("ldd").arg(program).output().context("run ldd")?;
    let text = String::from_utf8(output.stdout)?;
    let words = text.split_whitespace().filter(|word| word.starts_with('/'));
    let libraries: BTreeSet<PathBuf> = words.map(PathBuf::from).collect();
    ensure!(!libraries.is_empty(), "{text}");
    for library in &libraries {
        let name = library.file_name().unwrap_or_default().to_string_lossy();
        let known = LIBRARIES.iter().any(|known| name.starts_with(known));
        ensure!(known, "{} wants {name}, which its image lacks", program.display());
    }
    Ok(libraries)
}
