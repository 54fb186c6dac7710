//! TLS to a database: rustls with ring, whatever the process's default provider is; it needs none.

use std::{io, sync::Arc};

use futures_rustls::TlsConnector;
use rustls::{CertificateError, ClientConfig, Error, RootCertStore, crypto::ring};
use rustls_pki_types::CertificateDer;

use super::{SinkError, unreachable, wrong};

/// What makes connections, trusting these authorities, or those of the system.
pub(super) fn connector(
    authorities: Option<&[CertificateDer<'static>]>,
) -> Result<TlsConnector, SinkError> {
    let mut roots = RootCertStore::empty();
    match authorities {
        Some(authorities) => {
            for authority in authorities {
                roots.add(authority.clone()).map_err(|error| {
                    wrong("ca_file holds something that is no certificate").with_source(error)
                })?;
            }
        }
        None => {
            // One that can't be read among many is nobody's concern here.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err(wrong(
            "the system has no certificate authorities: install its package of them \
             (ca-certificates), or name a file of them by ca_file",
        ));
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong("TLS can't be set up").with_source(error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Why there is no TLS connection. Names in a certificate are not quoted.
pub(super) fn refusal(error: io::Error) -> SinkError {
    let of_rustls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    let Some(Error::InvalidCertificate(why)) = of_rustls else {
        return unreachable("cannot begin TLS with the database").with_source(error);
    };
    wrong(match why {
        // Also by the name of one that is, but not by its key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "the database's certificate is of an authority that isn't trusted: name that authority's \
             file by ca_file"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the database's certificate is for another name than the URL's host"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the database's certificate has expired"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the database's certificate is not valid yet: is the clock right?"
        }
        // rustls has no variant for it, and it is what `openssl req -x509` makes.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "the database's certificate is an authority's own (CA:TRUE): let that authority sign one \
             for the server"
        }
        _ => "the database's certificate can't be verified",
    })
}
