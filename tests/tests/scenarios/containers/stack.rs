//! A copy of `docker/` in a temporary folder, and what `docker-compose config` makes of its compose
//! file; no container engine is asked.
//!
//! What is mounted into a container is at another path here: [`Service::mapped`] puts the one in the
//! place of the other.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use undertone_tests::folder::Folder;

use super::dockerfile::Dockerfile;

/// The copy.
pub(crate) struct Stack {
    folder: Folder,
    compose: Value,
}

/// A service of the compose file.
pub(crate) struct Service<'a> {
    stack: &'a Stack,
    name: String,
    /// What the compose file says of it.
    pub(crate) text: &'a Value,
}

/// Something that is mounted into a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// The path in the container.
    pub(crate) target: String,
    /// The path here.
    pub(crate) source: PathBuf,
    pub(crate) read_only: bool,
}

/// A file of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

impl Stack {
    pub(crate) fn copy() -> Result<Self> {
        let folder = Folder::new("containers")?;
        copy(&repository("docker"), &folder.join("docker"))?;
        let compose = compose(&folder.join("docker/compose.yaml"))?;
        Ok(Self { folder, compose })
    }

    /// A path in the copy of `docker/`.
    pub(crate) fn join(&self, path: &str) -> PathBuf {
        self.folder.join("docker").join(path)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// All of the compose file.
    pub(crate) fn compose(&self) -> &Value {
        &self.compose
    }

    pub(crate) fn services(&self) -> Result<BTreeMap<&str, Service<'_>>> {
        let services = self.compose["services"].as_object().context("no services")?;
        let each = services
            .iter()
            .map(|(name, text)| (name.as_str(), Service { stack: self, name: name.clone(), text }));
        Ok(each.collect())
    }

    pub(crate) fn service(&self, name: &str) -> Result<Service<'_>> {
        self.services()?.remove(name).with_context(|| format!("there is no service {name}"))
    }
}

impl Service<'_> {
    /// The recipe of its image, if it is built here.
    pub(crate) fn dockerfile(&self) -> Result<Option<Dockerfile>> {
        let path = self.text["build"]["dockerfile"].as_str();
        path.map(|path| Dockerfile::read(&repository(path))).transpose()
    }

    /// Host address and port and the container's port, of all that it publishes.
    pub(crate) fn published(&self) -> Result<Vec<String>> {
        let ports = self.text["ports"].as_array().into_iter().flatten();
        let each = ports.map(|port| match port.as_str() {
            Some(short) => Ok(short.trim_end_matches("/tcp").to_owned()),
            None => {
                let [address, host, container] = ["host_ip", "published", "target"]
                    .map(|key| port[key].to_string().trim_matches('"').to_owned());
                Ok(format!("{address}:{host}:{container}"))
            }
        });
        each.collect()
    }

    pub(crate) fn networks(&self) -> BTreeSet<&str> {
        let networks = self.text["networks"].as_object().into_iter().flatten();
        networks.map(|(name, _)| name.as_str()).collect()
    }

    /// The environment that the compose file gives it.
    pub(crate) fn environment(&self) -> BTreeMap<&str, &str> {
        let variables = self.text["environment"].as_object().into_iter().flatten();
        variables.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect()
    }

    /// Its health check's command, without the leading `CMD`.
    pub(crate) fn health_check(&self) -> Result<Vec<String>> {
        match self.text["healthcheck"]["test"].as_array() {
            Some(test) => {
                let words: Vec<&str> = test.iter().filter_map(Value::as_str).collect();
                ensure!(words.first() == Some(&"CMD"), "{}: {words:?}", self.name);
                Ok(words[1..].iter().map(|word| (*word).to_owned()).collect())
            }
            None => self.dockerfile()?.and_then(|file| file.health_check).context(format!(
                "{}: no health check, neither in the compose file nor in the image",
                self.name
            )),
        }
    }

    /// What is mounted, secrets included; the deepest paths first. Named volumes are folders of the
    /// copy.
    pub(crate) fn mounts(&self) -> Result<Vec<Mount>> {
        let mut mounts = Vec::new();
        for volume in self.text["volumes"].as_array().into_iter().flatten() {
            let (source, target, read_only) = match volume.as_str() {
                Some(short) => {
                    let parts: Vec<&str> = short.split(':').collect();
                    ensure!(parts.len() == 3, "{short}");
                    (parts[0], parts[1], parts[2] == "ro")
                }
                None => (
                    volume["source"].as_str().context("source")?,
                    volume["target"].as_str().context("target")?,
                    volume["read_only"] == true,
                ),
            };
            let source = match source.starts_with('/') {
                true => PathBuf::from(source),
                false => self.stack.folder.join("volumes").join(source),
            };
            mounts.push(Mount { target: target.to_owned(), source, read_only });
        }
        for secret in self.text["secrets"].as_array().into_iter().flatten() {
            let name = secret["source"].as_str().or(secret.as_str()).context("a secret's name")?;
            let file = self.stack.compose["secrets"][name]["file"].as_str();
            let source = PathBuf::from(file.with_context(|| format!("{name} is no file"))?);
            let target = format!("/run/secrets/{name}");
            mounts.push(Mount { target, source, read_only: true });
        }
        mounts.sort_by_key(|mount| std::cmp::Reverse(mount.target.len()));
        Ok(mounts)
    }

    /// A text with what is mounted in place of the container's paths.
    pub(crate) fn mapped(&self, text: &str) -> Result<String> {
        Ok(self.mounts()?.iter().fold(text.to_owned(), |text, mount| {
            text.replace(&mount.target, &mount.source.to_string_lossy())
        }))
    }
}

/// Without the secrets of whoever runs the tests.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let (entry, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        if entry.is_dir() && name != "secrets" {
            copy(&entry, &to.join(name))?;
        } else if entry.is_file() {
            fs::copy(&entry, to.join(name))?;
        }
    }
    Ok(())
}

/// The compose file as Compose understands it: version 2 of it prints JSON, version 1 YAML alone, and
/// comes with a YAML reader.
fn compose(file: &Path) -> Result<Value> {
    let config = |arguments: &[&str]| {
        let mut command = Command::new("docker-compose");
        // Whoever asks a daemon finds none.
        command.env("DOCKER_HOST", "tcp://127.0.0.1:1").arg("--file").arg(file).args(arguments);
        command.output().context("run docker-compose (tests/tools/install.sh installs it)")
    };
    let json = config(&["config", "--format", "json"])?;
    // Version 1 explains itself on standard error, and calls that a success.
    if json.status.success() && !json.stdout.is_empty() {
        return Ok(serde_json::from_slice(&json.stdout)?);
    }
    let yaml = config(&["config"])?;
    ensure!(yaml.status.success(), "{}", String::from_utf8_lossy(&yaml.stderr));
    let script = "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)";
    let path = file.with_extension("normal.yaml");
    fs::write(&path, &yaml.stdout)?;
    let json = Command::new("/usr/bin/python3")
        .args(["-c", script])
        .stdin(Stdio::from(fs::File::open(&path)?))
        .output()?;
    ensure!(json.status.success(), "{}", String::from_utf8_lossy(&json.stderr));
    Ok(serde_json::from_slice(&json.stdout)?)
}
