//! TLS with certificates that the program `openssl` makes for the test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use futures_rustls::TlsAcceptor;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_util::compat::{FuturesAsyncReadCompatExt, TokioAsyncReadCompatExt};

use super::*;

/// An authority and a server certificate of it.
struct Authority {
    folder: TempDir,
}

impl Authority {
    /// The server's certificate is for this name alone, such as `IP:127.0.0.1`.
    fn new(name: &str) -> Self {
        let authority = Self { folder: TempDir::new().unwrap() };
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        authority.openssl(&[
            &["req", "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2"][..],
            &["-subj", "/CN=authority"],
            &curve,
        ]);
        let request = ["req", "-keyout", "key.pem", "-out", "request", "-subj", "/CN=database"];
        authority.openssl(&[&request[..], &curve]);
        std::fs::write(authority.file("names"), format!("subjectAltName = {name}\n")).unwrap();
        authority.openssl(&[
            &["x509", "-req", "-in", "request", "-out", "certificate.pem", "-days", "2"][..],
            &["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names"],
        ]);
        authority
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn openssl(&self, arguments: &[&[&str]]) {
        let mut command = Command::new("openssl");
        command.args(arguments.concat()).current_dir(self.folder.path());
        let output = command.output().expect("openssl is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// A database that takes everything.
    async fn serve(&self) -> (String, Seen) {
        self.serve_as("certificate.pem", "key.pem").await
    }

    async fn serve_as(&self, certificate: &str, key: &str) -> (String, Seen) {
        let certificate = CertificateDer::from_pem_file(self.file(certificate)).unwrap();
        let key = PrivateKeyDer::from_pem_file(self.file(key)).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let seen = Seen::default();
        let shared = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Ok(stream) = acceptor.accept(stream.compat()).await {
                    tokio::spawn(stub::serve(stream.compat(), |_, _| status(204), shared.clone()));
                }
            }
        });
        (url, seen)
    }
}

fn sinks(url: &str, ca: Option<&Path>) -> Vec<Box<dyn Sink>> {
    let server = || match ca {
        Some(ca) => Server::new(url).unwrap().with_ca_file(ca).unwrap(),
        None => Server::new(url).unwrap(),
    };
    let text = || "x".to_owned();
    let token = || Secret::from("T0KEN");
    let one =
        InfluxDb1Config { server: server(), database: text(), retention_policy: None, user: None };
    let two = InfluxDb2Config { server: server(), org: text(), bucket: text(), token: token() };
    let three = InfluxDb3Config { server: server(), database: text(), token: token() };
    vec![
        Box::new(InfluxDb1::new(one).unwrap()),
        Box::new(InfluxDb2::new(two).unwrap()),
        Box::new(InfluxDb3::new(three).unwrap()),
    ]
}

#[tokio::test]
async fn a_certificate_of_the_named_authority_is_trusted() {
    let authority = Authority::new("IP:127.0.0.1");
    let (url, seen) = authority.serve().await;
    for (sink, path) in sinks(&url, Some(&authority.file("ca.pem"))).iter().zip([
        "/write?db=x&precision=ns",
        "/api/v2/write?bucket=x&org=x&precision=ns",
        "/api/v3/write_lp?db=x&precision=nanosecond&accept_partial=true",
    ]) {
        for n in 0..3 {
            sink.write(&[point(n)]).await.unwrap();
        }
        let seen = std::mem::take(&mut *seen.lock().unwrap());
        let bodies: Vec<&str> = seen.iter().map(|(_, body)| body.as_str()).collect();
        assert_eq!(bodies, ["m n=0i 0\n", "m n=1i 1\n", "m n=2i 2\n"]);
        for (head, _) in &seen {
            assert!(head.starts_with(&format!("POST {path} ")), "{head}");
        }
    }
    assert!(CryptoProvider::get_default().is_none(), "the process's provider is nobody's business");
}

#[tokio::test]
async fn any_other_certificate_is_refused_and_nothing_is_sent() {
    let authority = Authority::new("IP:127.0.0.1");
    let another = Authority::new("IP:127.0.0.1");
    let (url, seen) = authority.serve().await;
    let elsewhere = Authority::new("DNS:secret-name.example");
    let (elsewhere_url, elsewhere_seen) = elsewhere.serve().await;
    let (own_url, own_seen) = authority.serve_as("ca.pem", "ca.key").await;
    for (url, ca, why) in [
        (&url, Some(another.file("ca.pem")), "authority that isn't trusted"),
        // None of those that the system trusts.
        (&url, None, "authority that isn't trusted"),
        (&elsewhere_url, Some(elsewhere.file("ca.pem")), "for another name"),
        (&own_url, Some(authority.file("ca.pem")), "an authority's own"),
    ] {
        for sink in sinks(url, ca.as_deref()) {
            let error = sink.write(&[point(1)]).await.unwrap_err();
            assert_eq!(error.kind(), &SinkErrorKind::Fatal);
            let report = error.report();
            assert!(report.contains(why), "{report}");
            assert!(!report.contains("secret-name"), "{report}");
        }
    }
    for seen in [seen, elsewhere_seen, own_seen] {
        assert!(seen.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn https_to_what_speaks_no_tls_is_tried_again() {
    let authority = Authority::new("IP:127.0.0.1");
    let (url, _) = stub::start(|_, _| status(204)).await;
    let url = url.replace("http:", "https:");
    for sink in sinks(&url, Some(&authority.file("ca.pem"))) {
        assert!(sink.write(&[point(1)]).await.unwrap_err().is_retryable());
    }
}

#[test]
fn a_ca_file_without_certificates_is_refused() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("ca.pem");
    let server = || Server::new("https://db").unwrap();
    assert!(server().with_ca_file(&file).is_err(), "it isn't there");
    std::fs::write(&file, "no certificate").unwrap();
    assert!(server().with_ca_file(&file).unwrap_err().to_string().contains("no certificate"));
    assert!(Server::new("http://db").unwrap().with_ca_file(&file).is_err());
}
