//! That the network works, proven by C tor and curl alone.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::time::Instant;

use super::*;

/// Answers every connection with one page.
fn page() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).unwrap();
            stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n").unwrap();
        }
    });
    port
}

fn fetch(client: &TorClient, url: &str) -> Option<String> {
    let proxy = format!("socks5h://127.0.0.1:{}", client.socks_port());
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "20", "--noproxy", "", "-x", &proxy, url])
        .output()
        .unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// Failures: no answer through the exit or from an onion service; a consensus that runs out; a
/// killed relay that can't come back. Not a failure: a first attempt without an answer, since
/// descriptors spread in their own time.
#[test]
fn exit_onion_service_and_a_new_consensus() {
    let start = Instant::now();
    let told = |text: &str| eprintln!("{:>6.1} s  {text}", start.elapsed().as_secs_f32());
    let network = TorNetwork::start_with(Options::default(), told).unwrap();
    told("network ready");
    network.check().unwrap();
    let first = network.consensus().unwrap();
    assert!(first.has("exit1", "Exit") && first.has("relay6", "HSDir"), "{first:?}");

    let target = page();
    let service = Folder::new("onion").unwrap();
    let lines = [
        format!("HiddenServiceDir {}", service.join("service").display()),
        format!("HiddenServicePort 80 127.0.0.1:{target}"),
    ];
    let onion = network.socks_client(&lines.each_ref().map(|line| &**line)).unwrap();
    told("onion service bootstrapped");
    let client = network.socks_client(&[]).unwrap();
    told("client bootstrapped");
    let soon = Duration::from_secs(60);
    let answer = |url: &str| wait::until(url, soon, || Ok(fetch(&client, url)));
    assert_eq!(answer(&format!("http://127.0.0.1:{target}/")).unwrap(), "hello\n");
    told("fetched through the exit");
    let hostname = std::fs::read_to_string(service.join("service/hostname")).unwrap();
    assert_eq!(answer(&format!("http://{}/", hostname.trim())).unwrap(), "hello\n");
    told("fetched from the onion service");

    network.kill("relay1").unwrap();
    network.pause("relay2").unwrap();
    network.resume("relay2").unwrap();
    network.start_again("relay1").unwrap();
    told("relay1 killed and back");
    wait::until("a new consensus", soon, || {
        let newer = network.consensus()?.valid_after > first.valid_after;
        Ok((newer && network.check().is_ok()).then_some(()))
    })
    .unwrap();
    told("new consensus");
    drop(onion);
}

/// What arti reads is TOML with all nodes in it; that arti starts from it is proven end to end.
#[test]
fn arti_configuration() {
    let network = TorNetwork::shared().unwrap();
    let text = network.arti_toml().unwrap();
    assert_eq!(text.matches("rsa_identity").count(), network.nodes().len());
    for node in network.nodes() {
        assert_eq!(node.rsa_identity().unwrap().len(), 40);
        assert!(text.contains(&format!("\"127.0.0.1:{}\"", node.or_port)));
    }
}
