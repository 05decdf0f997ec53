//! A way to a server that can go dead without a word, as it does when a host or a network is gone:
//! what is sent on it is taken and comes nowhere, nothing comes back, and nobody closes it.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, sink};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The way; connections that are made after one went dead get through.
pub(crate) struct Wire {
    address: SocketAddr,
    n_deaths: watch::Sender<u32>,
}

impl Wire {
    /// A way to a server, such as `127.0.0.1:5432`.
    pub(crate) async fn to(server: String) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let n_deaths = watch::Sender::new(0);
        let deaths = n_deaths.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server.clone(), deaths.subscribe()));
            }
        });
        Self { address, n_deaths }
    }

    /// Its port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Every connection there is goes dead; the server sees its end close.
    pub(crate) fn die(&self) {
        self.n_deaths.send_modify(|n_deaths| *n_deaths += 1);
    }
}

async fn carry(mut client: TcpStream, server: String, mut deaths: watch::Receiver<u32>) {
    let Ok(mut server) = TcpStream::connect(server).await else {
        return;
    };
    let (mut there, mut back) = ([0; 4096], [0; 4096]);
    loop {
        let is_carried = tokio::select! {
            _ = deaths.changed() => break,
            Ok(n @ 1..) = client.read(&mut there) => server.write_all(&there[..n]).await,
            Ok(n @ 1..) = server.read(&mut back) => client.write_all(&back[..n]).await,
            else => return,
        };
        if is_carried.is_err() {
            return;
        }
    }
    drop(server);
    let _until_the_client_closes_it = copy(&mut client, &mut sink()).await;
}
