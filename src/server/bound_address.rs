//! An address that the service has before it listens there: until it serves, connections are refused, and callers try
//! another instance instead of waiting in a queue.

use std::{io, net::SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

/// Connections that may wait to be accepted: as many as tokio's own listeners have.
const BACKLOG: u32 = 1024;

/// A bound socket that does not listen yet.
#[derive(Debug)]
pub struct BoundAddress {
    socket: TcpSocket,
    address: SocketAddr,
    flag: &'static str,
}

impl BoundAddress {
    /// Binds an address; `flag` is the setting to change if another program has it.
    ///
    /// # Errors
    /// The address is in use, is no address of this machine, or may not be used by this user.
    pub fn to(address: SocketAddr, flag: &'static str) -> anyhow::Result<Self> {
        let bind = || {
            let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            // A restarted service takes over an address whose old connections are not forgotten yet.
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            Ok(socket)
        };
        let socket = bind().map_err(|error| refused(address, flag, error))?;
        Ok(Self { socket, address, flag })
    }

    /// Listens.
    ///
    /// # Errors
    /// Another program has begun to listen on the address meanwhile.
    pub fn listen(self) -> anyhow::Result<TcpListener> {
        self.socket.listen(BACKLOG).map_err(|error| refused(self.address, self.flag, error))
    }
}

fn refused(address: SocketAddr, flag: &str, error: io::Error) -> anyhow::Error {
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
