//! A socket that is bound before the service listens on it. Until the service is ready, connections are refused, so
//! callers try another instance instead of waiting in the backlog.

use std::{io, net::SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

/// The number of connections that may wait to be accepted: tokio's default.
const BACKLOG: u32 = 1024;

/// A bound socket that does not listen yet.
#[derive(Debug)]
pub struct BoundAddress {
    socket: TcpSocket,
    address: SocketAddr,
    flag: &'static str,
}

impl BoundAddress {
    /// Binds an address. Error messages name `flag` as the setting to change.
    ///
    /// # Errors
    /// The address is in use, does not belong to this machine, or needs privileges.
    pub fn to(address: SocketAddr, flag: &'static str) -> anyhow::Result<Self> {
        let bind = || {
            let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            // A restarted service can bind while old connections are in TIME_WAIT.
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            Ok(socket)
        };
        let socket = bind().map_err(|error| bind_error(address, flag, error))?;
        Ok(Self { socket, address, flag })
    }

    /// Starts to listen.
    ///
    /// # Errors
    /// Another program listens on the address since it was bound.
    pub fn listen(self) -> anyhow::Result<TcpListener> {
        self.socket.listen(BACKLOG).map_err(|error| bind_error(self.address, self.flag, error))
    }
}

fn bind_error(address: SocketAddr, flag: &str, error: io::Error) -> anyhow::Error {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "cannot listen on {address}: another program does already; stop it, or choose another port, as with \
             `{flag} {}`",
            SocketAddr::new(address.ip(), address.port().checked_add(1).unwrap_or(50051))
        ),
        io::ErrorKind::AddrNotAvailable => {
            format!("cannot listen on {address}: this machine has no such address; choose another with `{flag}`")
        }
        io::ErrorKind::PermissionDenied => {
            format!("cannot listen on {address}: only root may use ports below 1024; choose another with `{flag}`")
        }
        _ => return anyhow::Error::new(error).context(format!("cannot listen on {address}")),
    };
    anyhow::Error::msg(hint)
}
