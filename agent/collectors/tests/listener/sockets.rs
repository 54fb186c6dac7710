//! Sockets: who can reach them, what is in their place before, and what is left after.

use std::{
    fs,
    io::{Read, Write as _},
    net::{SocketAddr, TcpStream},
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        net::{UnixListener, UnixStream},
    },
    path::Path,
};

use undertone_collectors::listener::{
    Error, ErrorKind, Limits, Listener, ListenerConfig, SocketMode, Token,
};

use crate::serving::{Answer, Serving, TOKEN};

fn bind(config: ListenerConfig) -> Result<Listener, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { Listener::bind(config) })
}

fn on_unix(path: &Path) -> Result<Listener, Error> {
    bind(ListenerConfig { unix: Some(path.to_owned()), ..ListenerConfig::default() })
}

#[test]
fn only_loopback_is_listened_on_and_only_with_a_token() {
    let token = Some(Token::new(TOKEN).unwrap());
    for address in ["0.0.0.0:0", "[::]:0", "192.168.1.1:0", "[::ffff:127.0.0.1]:0", "[fe80::1]:0"] {
        let tcp = Some(address.parse().unwrap());
        let config = ListenerConfig { tcp, token: token.clone(), ..ListenerConfig::default() };
        let error = bind(config).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotLoopback, "{address}");
        assert!(error.to_string().contains("127.0.0.1"), "{error}");
    }
    let tcp = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    let error = bind(ListenerConfig { tcp, ..ListenerConfig::default() }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Token);
    assert_eq!(bind(ListenerConfig::default()).unwrap_err().kind(), ErrorKind::NoSocket);
    let listener = bind(ListenerConfig { tcp, token: token.clone(), ..ListenerConfig::default() });
    let taken = listener.as_ref().unwrap().address();
    let error =
        bind(ListenerConfig { tcp: taken, token, ..ListenerConfig::default() }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InUse);
}

#[test]
fn the_unix_socket_is_its_owners_alone_unless_others_are_let_in() {
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let serving = Serving::start(Limits::default());
    assert_eq!(mode(&serving.path), 0o600);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    for (unix_mode, expected) in
        [(SocketMode::User, 0o600), (SocketMode::Group, 0o660), (SocketMode::All, 0o666)]
    {
        let unix = Some(path.clone());
        let config = ListenerConfig { unix, unix_mode, ..ListenerConfig::default() };
        let _listener = bind(config).unwrap();
        assert_eq!(mode(&path), expected);
    }
}

#[test]
fn a_socket_is_replaced_only_if_nobody_answers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let other = UnixListener::bind(&path).unwrap();
    assert_eq!(on_unix(&path).unwrap_err().kind(), ErrorKind::InUse);
    assert!(UnixStream::connect(&path).is_ok(), "the other is still there");
    drop(other);
    assert!(path.exists(), "as after a kill");
    let listener = on_unix(&path).unwrap();
    assert_eq!(on_unix(&path).unwrap_err().kind(), ErrorKind::InUse);
    drop(listener);
    assert!(!path.exists());

    for place in ["a file", "a folder"] {
        let path = folder.path().join(place);
        if place == "a file" {
            fs::write(&path, "kept").unwrap()
        } else {
            fs::create_dir(&path).unwrap()
        }
        let error = on_unix(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotASocket);
        assert!(path.exists());
    }
    let missing = folder.path().join("missing/socket");
    assert_eq!(on_unix(&missing).unwrap_err().kind(), ErrorKind::Socket);
}

#[test]
fn another_processs_socket_is_not_removed_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = on_unix(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let other = UnixListener::bind(&path).unwrap();
    let inode = fs::metadata(&path).unwrap().ino();
    drop(listener);
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
    drop(other);
}

#[test]
fn what_is_under_way_is_answered_at_the_end() {
    let mut serving = Serving::start(Limits::default());
    let mut stream = serving.unix();
    stream
        .write_all(
            b"POST /write HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 8\r\n\r\n",
        )
        .unwrap();
    assert_eq!(head(&mut stream), "HTTP/1.1 100 Continue\r\n\r\n");
    let mut idle = serving.unix();
    idle.write_all(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert!(head(&mut idle).starts_with("HTTP/1.1 204 "));
    serving.stop();
    // The idle one is ended at once, and nobody is let in.
    assert_eq!(idle.read(&mut [0]).unwrap(), 0);
    assert!(TcpStream::connect(serving.address).is_err());
    assert!(!serving.path.exists());
    stream.write_all(b"a b=1 1\n").unwrap();
    assert_eq!(Answer::read(stream).status, 204);
    serving.ended();
    assert_eq!(serving.points().len(), 1);
}

#[test]
fn who_never_ends_doesnt_hold_up_the_end() {
    let limits = Limits { drain: std::time::Duration::from_millis(100), ..Limits::default() };
    let mut serving = Serving::start(limits);
    let mut stream = serving.unix();
    stream.write_all(b"POST /write HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\na").unwrap();
    serving.stop();
    serving.ended();
}

/// What comes up to an empty line, and no more.
fn head(mut stream: impl Read) -> String {
    let mut text = String::new();
    let mut byte = [0];
    while !text.ends_with("\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        text.push(char::from(byte[0]));
    }
    text
}
