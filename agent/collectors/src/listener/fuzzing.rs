//! A door for what feeds parsers arbitrary bytes (`tests/fuzz`). Not part of the interface: this may change at any time.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};

use super::{
    Accept,
    access::Access,
    config::{Limits, Token},
    connection::{self, Door, Server},
};

/// Serves one connection of a client: of the unix socket's, or with an address and a token of the port's.
pub async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    tcp: Option<(SocketAddr, Token)>,
    limits: Limits,
    accept: impl Accept,
) {
    let access =
        tcp.map_or(Access::SocketMode, |(address, token)| Access::tcp(Some(address), Some(token)));
    let door = Door::new(access, 1);
    let (_ending, ended) = watch::channel(false);
    if let Ok(((), pass)) = door.enter(std::future::ready(Ok(()))).await {
        connection::run(stream, pass, Arc::new(Server::new(limits, accept)), ended).await;
    }
}
