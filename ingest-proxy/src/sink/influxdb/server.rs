//! Where a database is: an address that was checked, and whom its certificate must come from.

use std::path::Path;

use reqwest::Url;
use rustls_pki_types::{CertificateDer, pem::PemObject};

use super::{SinkError, wrong};

/// A database's address, checked.
#[derive(Debug, Clone)]
pub struct Server {
    url: Url,
    authorities: Option<Vec<CertificateDer<'static>>>,
}

impl Server {
    /// The server at `http://host[:port]` or `https://host[:port]`. A certificate is checked against
    /// the authorities that the system trusts.
    ///
    /// # Errors
    /// If the URL is something else, or has more than that.
    pub fn new(url: &str) -> Result<Self, SinkError> {
        let url = Url::parse(url)
            .map_err(|error| wrong("the database's URL can't be read").with_source(error))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("the database's URL must start with http:// or https://"));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(wrong("the database's URL names no host"));
        }
        if !matches!(url.path(), "" | "/") {
            return Err(wrong("the database's URL has a path: give http(s)://host:port alone"));
        }
        let more = url.query().is_some()
            || url.fragment().is_some()
            || !url.username().is_empty()
            || url.password().is_some();
        if more {
            return Err(wrong(
                "the database's URL must be http(s)://host:port alone; credentials have keys of their \
                 own",
            ));
        }
        Ok(Self { url, authorities: None })
    }

    /// The same with the authorities of a PEM file, instead of those that the system trusts.
    ///
    /// # Errors
    /// If the URL isn't https, or the file can't be read or holds no certificate.
    pub fn with_ca_file(mut self, path: &Path) -> Result<Self, SinkError> {
        if !self.is_https() {
            return Err(wrong("a CA is of use with an https:// URL alone"));
        }
        let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect)
            .map_err(|error| wrong("the certificates can't be read").with_source(error))?;
        if certificates.is_empty() {
            return Err(wrong("the file holds no certificate in PEM"));
        }
        self.authorities = Some(certificates);
        Ok(self)
    }

    pub(crate) fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// `None`: those that the system trusts.
    pub(super) fn authorities(&self) -> Option<&[CertificateDer<'static>]> {
        self.authorities.as_deref()
    }

    pub(in crate::sink) fn url(&self) -> &Url {
        &self.url
    }

    /// The host as a resolver takes it, an IPv6 address without brackets.
    pub(super) fn host(&self) -> &str {
        let host = self.url.host_str().unwrap_or_default();
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }

    pub(super) fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or_default()
    }

    /// What the header `Host` says.
    pub(super) fn authority(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Path and query, encoded.
    pub(in crate::sink) fn target(&self, path: &str, query: &[(&str, &str)]) -> String {
        let mut url = self.url.clone();
        url.set_path(path);
        url.query_pairs_mut().extend_pairs(query);
        format!("{}?{}", url.path(), url.query().unwrap_or_default())
    }
}
