//! A TCP proxy whose connections can go silent, as they do when a host or a network fails: data from
//! the client is accepted and discarded, nothing is answered, and the connection stays open.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, sink};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The proxy. Going silent affects the connections that are open; later connections work.
pub(crate) struct TcpProxy {
    address: SocketAddr,
    n_silenced: watch::Sender<u32>,
}

impl TcpProxy {
    /// A proxy to a server, such as `127.0.0.1:5432`.
    pub(crate) async fn to(server: String) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let n_silenced = watch::Sender::new(0);
        let silenced = n_silenced.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server.clone(), silenced.subscribe()));
            }
        });
        Self {
            address,
            n_silenced,
        }
    }

    /// Its port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Makes every open connection silent for its client; for the server, the connection is closed.
    pub(crate) fn go_silent(&self) {
        self.n_silenced.send_modify(|n_silenced| *n_silenced += 1);
    }
}

async fn carry(mut client: TcpStream, server: String, mut silenced: watch::Receiver<u32>) {
    let Ok(mut server) = TcpStream::connect(server).await else {
        return;
    };
    let (mut there, mut back) = ([0; 4096], [0; 4096]);
    loop {
        let is_carried = tokio::select! {
            _ = silenced.changed() => break,
            Ok(n @ 1..) = client.read(&mut there) => server.write_all(&there[..n]).await,
            Ok(n @ 1..) = server.read(&mut back) => client.write_all(&back[..n]).await,
            else => return,
        };
        if is_carried.is_err() {
            return;
        }
    }
    drop(server);
    let _ended_by_the_client = copy(&mut client, &mut sink()).await;
}
