//! Where clients connect: a unix socket whose mode says who may, and a TCP port on loopback.

use std::{
    fs,
    future::pending,
    io,
    net::SocketAddr,
    os::unix::{
        fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
        net::UnixStream as BlockingUnixStream,
    },
    path::{Path, PathBuf},
};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixSocket, UnixStream};

use super::{
    config::{ListenerConfig, SocketMode},
    error::{Error, ErrorKind},
};

/// Connections that the kernel keeps for us.
const BACKLOG: u32 = 128;

/// One or both.
#[derive(Debug)]
pub(super) struct Sockets {
    unix: Option<OwnedUnixSocket>,
    tcp: Option<(TcpListener, SocketAddr)>,
}

impl Sockets {
    pub(super) fn bind(config: &ListenerConfig) -> Result<Self, Error> {
        if config.unix.is_none() && config.tcp.is_none() {
            return Err(Error::new(
                ErrorKind::NoSocket,
                "a listener needs a unix socket's path or a TCP address".to_owned(),
            ));
        }
        if config.tcp.is_some() && config.token.is_none() {
            return Err(Error::new(
                ErrorKind::Token,
                "a listener on TCP needs a token: any program and any web page on this machine can \
                 reach loopback"
                    .to_owned(),
            ));
        }
        let tcp = config.tcp.map(bind_tcp).transpose()?;
        let bind_unix = |path| OwnedUnixSocket::bind(path, config.unix_mode);
        let unix = config.unix.as_deref().map(bind_unix).transpose()?;
        Ok(Self { unix, tcp })
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.tcp.as_ref().map(|(_, address)| *address)
    }

    pub(super) fn path(&self) -> Option<&Path> {
        self.unix.as_ref().map(|unix| unix.path.as_path())
    }

    /// The next client of the unix socket; never, if there is none.
    pub(super) async fn accept_unix(&self) -> io::Result<UnixStream> {
        match &self.unix {
            Some(unix) => unix.listener.accept().await.map(|(stream, _)| stream),
            None => pending().await,
        }
    }

    /// The next client of the TCP port; never, if there is none.
    pub(super) async fn accept_tcp(&self) -> io::Result<TcpStream> {
        match &self.tcp {
            Some((listener, _)) => listener.accept().await.map(|(stream, _)| stream),
            None => pending().await,
        }
    }
}

fn bind_tcp(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    if !address.ip().is_loopback() {
        return Err(Error::new(
            ErrorKind::NotLoopback,
            format!(
                "{address} can be reached from other machines: a listener takes only loopback \
                 addresses, such as 127.0.0.1 and [::1]"
            ),
        ));
    }
    let failed = |error: io::Error| {
        let kind = match error.kind() {
            io::ErrorKind::AddrInUse => ErrorKind::InUse,
            _ => ErrorKind::Socket,
        };
        Error::new(kind, format!("listen on {address}")).because(error)
    };
    let listener = std::net::TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let listener = TcpListener::from_std(listener).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// A unix socket whose file is removed with it.
#[derive(Debug)]
struct OwnedUnixSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode: a socket that another process has put in its place is not ours to remove.
    file: (u64, u64),
}

impl OwnedUnixSocket {
    fn bind(path: &Path, mode: SocketMode) -> Result<Self, Error> {
        remove_stale(path)?;
        let failed = |error: io::Error| {
            let kind = match error.kind() {
                io::ErrorKind::AddrInUse => ErrorKind::InUse,
                _ => ErrorKind::Socket,
            };
            Error::new(kind, format!("listen on the unix socket {}", path.display())).because(error)
        };
        let socket = UnixSocket::new_stream().map_err(failed)?;
        // Linux makes the file with the mode that the socket has already: at no moment can others than
        // those open it. Elsewhere, and where the umask is stricter, it is set right after.
        let raw = rustix::fs::Mode::from_raw_mode(mode.bits() as _);
        rustix::fs::fchmod(&socket, raw).map_err(|error| failed(error.into()))?;
        socket.bind(path).map_err(failed)?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode.bits())).map_err(failed)?;
        let metadata = fs::symlink_metadata(path).map_err(failed)?;
        let listener = socket.listen(BACKLOG).map_err(failed)?;
        Ok(Self { listener, path: path.to_owned(), file: (metadata.dev(), metadata.ino()) })
    }
}

impl Drop for OwnedUnixSocket {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.file);
        if ours {
            // If it stays, the next start finds that nobody answers.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes a socket at which nobody answers, as a process that was killed leaves it.
fn remove_stale(path: &Path) -> Result<(), Error> {
    let place = path.display();
    let failed = |error| {
        let text = format!("look at what is in the place of the unix socket {place}");
        Error::new(ErrorKind::Socket, text).because(error)
    };
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata.map_err(failed)?,
    };
    if !metadata.file_type().is_socket() {
        let text = format!("{place} is not a socket: remove it, or choose another path");
        return Err(Error::new(ErrorKind::NotASocket, text));
    }
    match BlockingUnixStream::connect(path) {
        Ok(_) => {
            let text = format!("another process answers at the unix socket {place}");
            Err(Error::new(ErrorKind::InUse, text))
        }
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}
