//! TLS to relays by rustls and ring, whatever the process's default provider is.
//!
//! arti's own `RustlsProvider` takes the process's default and panics where there is none; a library
//! that installed one would make a host's `install_default().expect(…)` panic. So this names ring.
//!
//! As in arti, certificates are not verified here beyond their signatures: a relay proves its
//! identity inside the Tor handshake (tor-spec, "Negotiating and initializing channels").

use std::{io, sync::Arc};

use async_trait::async_trait;
use futures::{AsyncRead, AsyncWrite};
use futures_rustls::{TlsConnector as Connector, client::TlsStream};
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tor_rtcompat::{
    StreamOps, TlsProvider,
    tls::{TlsAcceptorSettings, TlsConnector, UnimplementedTls},
};

/// A TLS provider for arti's runtime that uses ring.
#[derive(Clone)]
pub struct RingTls {
    config: Arc<ClientConfig>,
}

/// Makes one TLS connection.
pub struct RingConnector(Connector);

impl RingTls {
    pub(crate) fn new() -> Result<Self, Error> {
        let provider = Arc::new(ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(RelayCertificate(provider)))
            .with_no_client_auth();
        // tor-spec forbids session resumption.
        config.resumption = Resumption::disabled();
        Ok(Self { config: Arc::new(config) })
    }
}

impl<S> TlsProvider<S> for RingTls
where
    S: AsyncRead + AsyncWrite + StreamOps + Unpin + Send + 'static,
{
    type Connector = RingConnector;
    type TlsStream = TlsStream<S>;
    type Acceptor = UnimplementedTls;
    type TlsServerStream = UnimplementedTls;

    fn tls_connector(&self) -> RingConnector {
        RingConnector(Connector::from(Arc::clone(&self.config)))
    }

    fn tls_acceptor(&self, _: TlsAcceptorSettings) -> io::Result<UnimplementedTls> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn supports_keying_material_export(&self) -> bool {
        true
    }
}

#[async_trait]
impl<S> TlsConnector<S> for RingConnector
where
    S: AsyncRead + AsyncWrite + StreamOps + Unpin + Send + 'static,
{
    type Conn = TlsStream<S>;

    async fn negotiate_unvalidated(
        &self,
        stream: S,
        sni_hostname: &str,
    ) -> io::Result<TlsStream<S>> {
        let name = ServerName::try_from(sni_hostname.to_owned())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        self.0.connect(name, stream).await
    }
}

/// Accepts any certificate whose key signed the handshake.
#[derive(Debug)]
struct RelayCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for RelayCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        None
    }
}
