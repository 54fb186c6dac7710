//! Certificates for servers on this machine, made by the program `openssl`.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::folder::Folder;

/// An authority of its own and a certificate of it for 127.0.0.1, in files.
#[derive(Debug)]
pub struct Authority {
    folder: Folder,
}

impl Authority {
    /// A new one; another with each call.
    pub fn new() -> Result<Self> {
        let authority = Self { folder: Folder::new("authority")? };
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        authority.openssl(&[
            &["req", "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2"],
            &["-subj", "/CN=authority of a test"],
            &key,
        ])?;
        authority.openssl(&[
            &["req", "-keyout", "key.pem", "-out", "request", "-subj", "/CN=server of a test"],
            &key,
        ])?;
        std::fs::write(authority.folder.join("names"), "subjectAltName = IP:127.0.0.1\n")?;
        authority.openssl(&[
            &["x509", "-req", "-in", "request", "-out", "certificate.pem", "-days", "2"],
            &["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names"],
        ])?;
        Ok(authority)
    }

    /// The authority's own certificate, in PEM.
    pub fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// The server's certificate, in PEM.
    pub fn certificate(&self) -> PathBuf {
        self.folder.join("certificate.pem")
    }

    /// The server's key, in PEM.
    pub fn key(&self) -> PathBuf {
        self.folder.join("key.pem")
    }

    fn openssl(&self, arguments: &[&[&str]]) -> Result<()> {
        let mut command = Command::new("openssl");
        command.args(arguments.concat()).current_dir(self.folder.path()).stdin(Stdio::null());
        let output = command.output().context("running openssl")?;
        ensure!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}
