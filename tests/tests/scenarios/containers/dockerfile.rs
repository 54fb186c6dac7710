//! What a Dockerfile says of the image that it ends with.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result, ensure};

/// An image's recipe.
#[derive(Debug)]
pub(crate) struct Dockerfile {
    /// `ENTRYPOINT` and `CMD`.
    pub(crate) command: Vec<String>,
    /// `HEALTHCHECK`'s command.
    pub(crate) health_check: Option<Vec<String>>,
    /// The one binary that cargo builds.
    pub(crate) binary: String,
    /// Everything else of the last stage, by instruction; the last of each kind, `COPY` all.
    pub(crate) instructions: BTreeMap<String, Vec<String>>,
}

impl Dockerfile {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        let text = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
        let mut instructions = BTreeMap::<String, Vec<String>>::new();
        let mut binary = None;
        for line in text.lines() {
            let Some((instruction, rest)) = line.trim().split_once(' ') else { continue };
            if instruction == "FROM" {
                instructions.clear();
            }
            if let Some((_, after)) = rest.split_once("cargo build --release --locked --bin ") {
                binary = after.split_whitespace().next().map(str::to_owned);
            }
            instructions.entry(instruction.to_owned()).or_default().push(rest.trim().to_owned());
        }
        let list = |instruction: &str| -> Result<Option<Vec<String>>> {
            let Some(text) = instructions.get(instruction).and_then(|all| all.last()) else {
                return Ok(None);
            };
            let (_, array) = text.split_once('[').context("the form that needs no shell")?;
            Ok(Some(serde_json::from_str(&format!("[{array}"))?))
        };
        let mut command = list("ENTRYPOINT")?.context("no ENTRYPOINT")?;
        command.extend(list("CMD")?.unwrap_or_default());
        let health_check = list("HEALTHCHECK")?;
        ensure!(!instructions.contains_key("RUN"), "the last stage has a shell");
        Ok(Self {
            command,
            health_check,
            binary: binary.context("cargo builds nothing")?,
            instructions,
        })
    }

    /// The last of an instruction.
    pub(crate) fn last(&self, instruction: &str) -> Option<&str> {
        self.instructions.get(instruction)?.last().map(String::as_str)
    }
}
