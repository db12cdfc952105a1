//! TLS: which certificate a connection is served with, and what happens when the files are replaced.
//! Never trusts anything but the certificate that the test itself has made.

use super::{
    command::{binary, countersign},
    frames::{Client, asks, init, text},
    world::World,
};
use countersign::http::{CertificateFiles, Tls};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, ServerName},
};
use serde_json::json;
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Stdio, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::Command,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

const PATIENCE: Duration = Duration::from_secs(60);

/// A certificate for `localhost` and its key, as files in PEM.
struct Pair {
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    key_pem: String,
}

impl Pair {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        Self {
            certificate: made.cert.der().clone(),
            certificate_pem: made.cert.pem(),
            key_pem: made.signing_key.serialize_pem(),
        }
    }

    fn write(&self, files: &CertificateFiles) {
        fs::write(&files.certificate, &self.certificate_pem).unwrap();
        fs::write(&files.key, &self.key_pem).unwrap();
        fs::set_permissions(&files.key, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

fn files(directory: &Path) -> CertificateFiles {
    CertificateFiles { certificate: directory.join("server.crt"), key: directory.join("server.key") }
}

/// Greets a server that must present this certificate, and speak HTTP/1.1.
async fn greet(address: &str, trusted: &Pair) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.certificate.clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let mut config =
        builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = TcpStream::connect(address).await?;
    let stream =
        TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await?;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    Ok(stream)
}

/// Asks whether the server is there.
async fn is_there(stream: &mut TlsStream<TcpStream>) -> bool {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut answer = vec![];
    while !answer.ends_with(b"\r\n\r\nok\n") {
        answer.push(timeout(PATIENCE, stream.read_u8()).await.unwrap().unwrap());
    }
    let head = String::from_utf8(answer).unwrap();
    assert!(head.contains("\r\nstrict-transport-security: max-age=31536000\r\n"), "{head}");
    head.starts_with("HTTP/1.1 200 OK\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_served_and_no_connection_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let (files, old, new) = (files(directory.path()), Pair::new(), Pair::new());
    old.write(&files);
    let tls = Tls::open(files.clone()).unwrap();
    let mut world = World::new().await;
    world.tls = Some(tls.clone());
    world.restart().await;
    let address = world.stranger().address;
    let mut before = greet(&address, &old).await.unwrap();
    assert!(is_there(&mut before).await);
    assert!(greet(&address, &new).await.is_err(), "another certificate is not trusted");

    // Half of a new pair is no pair: the one before is served on. Whoever looks in between is this loop.
    fs::write(&files.certificate, &new.certificate_pem).unwrap();
    for _ in 0..20 {
        tls.look_now();
        sleep(Duration::from_millis(10)).await;
        assert!(is_there(&mut greet(&address, &old).await.unwrap()).await);
    }
    // Nor is a file that is gone.
    fs::remove_file(&files.certificate).unwrap();
    tls.look_now();
    sleep(Duration::from_millis(50)).await;
    assert!(is_there(&mut greet(&address, &old).await.unwrap()).await);
    // The whole of it is served within seconds, without anybody saying so.
    new.write(&files);
    let renewed = async {
        loop {
            match greet(&address, &new).await {
                Ok(stream) => return stream,
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let mut after = timeout(PATIENCE, renewed).await.expect("the new certificate");
    assert!(is_there(&mut after).await);
    assert!(greet(&address, &old).await.is_err());
    assert!(is_there(&mut before).await, "the connection of before goes on");
    drop((before, after));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_hears_what_is_large_and_what_is_pushed() {
    let directory = tempfile::tempdir().unwrap();
    let (files, pair) = (files(directory.path()), Pair::new());
    pair.write(&files);
    let mut world = World::new().await;
    let template = world.template("GOVERNED_PROJECT").await;
    let now = world.ann().ask("{ timeline(first: 1) { nodes { cursor } } }", json!({})).await;
    let now = now.text("/timeline/nodes/0/cursor");
    world.tls = Some(Tls::open(files).unwrap());
    world.restart().await;
    let stream = greet(&world.stranger().address, &pair).await.unwrap();
    // What comes with the handshake is in the same record.
    let mut client = Client::over(stream, &text(&init(&world))).await;
    let large = "{ __schema { types { name description fields { name description } } } }";
    client.writes.write_all(&text(&asks("1", large))).await.unwrap();
    client.writes.flush().await.unwrap();
    let heard = client.heard().await;
    assert!(heard.len() == 3 && heard[1].len() > 64 * 1_024 && heard[1].contains("GovernedItem"), "{heard:?}");
    let listens = r#"subscription { events(after: "AFTER", filter: { kinds: [ITEM_CREATED] }) { node { name } } }"#;
    let creates = r#"mutation { createGovernedProject(input: { templateId: "TEMPLATE", name: "Pushed" }) { cursor } }"#;
    for (id, query) in [("2", listens.replace("AFTER", &now)), ("3", creates.replace("TEMPLATE", &template))] {
        client.writes.write_all(&text(&asks(id, &query))).await.unwrap();
        client.writes.flush().await.unwrap();
    }
    let mut heard = client.heard().await;
    while !heard.iter().any(|said| said.contains(r#""id":"2""#)) {
        heard.extend(client.next().await);
    }
    let pushed = heard.iter().find(|said| said.contains(r#""id":"2""#)).unwrap();
    assert!(pushed.contains(r#"{"data":{"events":{"node":{"name":"Pushed"}}}"#), "{heard:?}");
    drop(client);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_greet_is_let_go_and_plain_http_is_not_answered() {
    let directory = tempfile::tempdir().unwrap();
    let (files, pair) = (files(directory.path()), Pair::new());
    pair.write(&files);
    let mut world = World::new().await;
    world.tls = Some(Tls::open(files).unwrap());
    world.bounds.head = Duration::from_secs(2);
    world.restart().await;
    let address = world.stranger().address;
    let mut silent = TcpStream::connect(&address).await.unwrap();
    assert!(reqwest::get(format!("http://{address}/healthz")).await.is_err());
    let mut rest = vec![];
    timeout(PATIENCE, silent.read_to_end(&mut rest)).await.expect("an end").ok();
    assert_eq!(rest, b"");
    // A slow machine may not greet in time itself.
    let greeted = async {
        loop {
            if let Ok(mut stream) = greet(&address, &pair).await {
                return is_there(&mut stream).await;
            }
        }
    };
    assert!(timeout(PATIENCE, greeted).await.unwrap());
    world.end().await;
}

#[test]
fn a_pair_that_cannot_be_served_is_told_with_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let (files, pair) = (files(directory.path()), Pair::new());
    let said = || Tls::open(files.clone()).unwrap_err().to_string().replace(directory.path().to_str().unwrap(), "DIR");
    assert_eq!(said(), "DIR/server.crt cannot be read: No such file or directory (os error 2)");
    pair.write(&files);
    fs::write(&files.certificate, &pair.key_pem).unwrap();
    assert!(said().starts_with("DIR/server.crt holds no certificate in PEM"), "{}", said());
    pair.write(&files);
    fs::write(&files.key, &pair.certificate_pem).unwrap();
    assert!(said().starts_with("DIR/server.key holds no private key in PEM"), "{}", said());
    pair.write(&files);
    fs::write(&files.key, Pair::new().key_pem).unwrap();
    assert!(
        said().starts_with("the certificate in DIR/server.crt cannot be served with the key in DIR/server.key: "),
        "{}",
        said()
    );
    pair.write(&files);
    assert!(Tls::open(files.clone()).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_serves_with_a_certificate_and_reads_it_again_when_told() {
    let directory = tempfile::tempdir().unwrap();
    let (files, old, new) = (files(directory.path()), Pair::new(), Pair::new());
    old.write(&files);
    let (certificate, key) = (files.certificate.to_str().unwrap(), files.key.to_str().unwrap());
    let data = directory.path().join("data");
    let (code, said) = countersign(&["serve", "--tls-cert", certificate]).await;
    assert!(code == 64 && said.contains("name its key, too, with tls_key"), "{said}");
    let (code, said) = countersign(&["serve", "--tls-cert", key, "--tls-key", key, "--data-dir", "/nonexistent"]).await;
    assert!(code == 1 && said.contains("server.key holds no certificate"), "{said}");
    let mut server = binary()
        .args(["serve", "--listen", "127.0.0.1:0", "--json", "--tls-cert", certificate, "--tls-key", key, "--data-dir"])
        .arg(&data)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let hello = lines.next_line().await.unwrap().expect("a line of JSON once it serves");
    let hello: serde_json::Value = serde_json::from_str(&hello).unwrap();
    let address = hello["url"].as_str().unwrap().strip_prefix("https://").unwrap().to_owned();
    assert!(hello["links"][0]["setPassword"].as_str().unwrap().starts_with("https://"));
    assert!(is_there(&mut greet(&address, &old).await.unwrap()).await);
    new.write(&files);
    let id = server.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-HUP", &id]).status().await.unwrap().success());
    let renewed = async {
        while greet(&address, &new).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, renewed).await.expect("the new certificate");
    assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
    assert!(timeout(PATIENCE, server.wait()).await.expect("an end").unwrap().success());
}
