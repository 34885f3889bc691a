//! The stand-ins over real sockets, asked by a client written in twenty lines.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use simulator::proxy::Access;
use simulator::{Config, Fault, FaultKind, Route, Service, Simulator, accounts};

/// Sends one request and reads until the end of the connection; returns status, head and decoded body.
fn ask(url: &str, request: &str, body: &str) -> (u16, String, Vec<u8>) {
    let host = url.split_once("://").unwrap().1;
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let (line, headers) = request.split_once('\n').unwrap_or((request, ""));
    let headers: String = headers.lines().map(|header| format!("{}\r\n", header.trim())).collect();
    write!(
        stream,
        "{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    let mut rest = answer[end + 4..].to_vec();
    if head.contains("Transfer-Encoding: chunked") {
        rest = unchunk(&rest);
    }
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head, rest)
}

fn unchunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let end = bytes.windows(2).position(|window| window == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            return out;
        }
        out.extend_from_slice(&bytes[end + 2..end + 2 + size]);
        bytes = &bytes[end + 4 + size..];
    }
}

fn token(sim: &Simulator, scope: &str) -> String {
    let form = format!(
        "grant_type=client_credentials&client_id={}&scope={}&client_secret={}",
        accounts::CLIENT_ID,
        simulator::wire::percent_encode(scope),
        simulator::wire::percent_encode(accounts::CLIENT_SECRET),
    );
    let request = format!("POST /{}/oauth2/v2.0/token\nContent-Type: application/x-www-form-urlencoded", accounts::TENANT);
    let (status, _, body) = ask(sim.login_url(), &request, &form);
    let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["expires_in"], 3599);
    answer["access_token"].as_str().unwrap().to_string()
}

#[test]
fn a_token_and_a_page_in_gzip_and_chunks() {
    let sim = Simulator::start(Config { alerts: 20, ..Config::default() });
    let bearer = token(&sim, "https://graph.microsoft.com/.default");
    let request = format!("GET /v1.0/security/alerts_v2?$top=5\nAuthorization: Bearer {bearer}\nAccept-Encoding: gzip");
    let (status, head, body) = ask(sim.graph_url(), &request, "");
    assert_eq!(status, 200);
    assert!(head.contains("Content-Encoding: gzip") && head.contains("\r\nDate: "), "{head}");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut text).unwrap();
    let page: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(page["value"].as_array().unwrap().len(), 5);
    let next = page["@odata.nextLink"].as_str().unwrap();
    assert!(next.starts_with(sim.graph_url()) && next.ends_with("$top=5&$skip=5"), "{next}");

    let asked = sim.requests();
    assert_eq!(
        asked.iter().map(|exchange| (exchange.service, exchange.route)).collect::<Vec<_>>(),
        [(Service::Login, Route::Token), (Service::Graph, Route::GraphAlerts)]
    );
    assert_eq!(asked[1].request.query_value("$top").as_deref(), Some("5"));
}

#[test]
fn splunkd_hands_out_account_and_secret() {
    let sim = Simulator::start(Config::default());
    let authorization = format!("Authorization: Splunk {}", sim.session_key());
    let get = |path: &str| {
        let (status, _, body) = ask(sim.splunkd_url(), &format!("GET {path}?output_mode=json\n{authorization}"), "");
        (status, serde_json::from_slice::<serde_json::Value>(&body).unwrap())
    };
    let (status, account) = get("/servicesNS/nobody/TA_defender/configs/conf-defender_account/demo");
    assert_eq!(status, 200);
    assert_eq!(account["entry"][0]["content"]["graph_url"], sim.graph_url());
    let (_, secret) = get("/servicesNS/nobody/TA_defender/storage/passwords/defender_account:demo.client_secret:");
    assert_eq!(secret["entry"][0]["content"]["clear_password"], accounts::CLIENT_SECRET);
    assert_eq!(get("/servicesNS/nobody/TA_defender/configs/conf-defender_settings/tls").0, 404);
}

#[test]
fn faults_reach_the_bytes() {
    let sim = Simulator::start(Config::default());
    let bearer = token(&sim, "https://graph.microsoft.com/.default");
    let request = format!("GET /v1.0/security/incidents?$top=3\nAuthorization: Bearer {bearer}");
    sim.faults().push(Fault::once(Route::GraphIncidents, FaultKind::HalfJson));
    sim.faults().push(Fault::once(Route::GraphIncidents, FaultKind::Html(502)));
    sim.faults().push(Fault::once(Route::GraphIncidents, FaultKind::Slow(200, Duration::from_millis(1))));
    let (status, _, body) = ask(sim.graph_url(), &request, "");
    assert_eq!(status, 200);
    assert!(serde_json::from_slice::<serde_json::Value>(&body).is_err(), "half of it is not JSON");
    assert_eq!(ask(sim.graph_url(), &request, "").0, 502);
    let (status, _, body) = ask(sim.graph_url(), &request, "");
    assert_eq!((status, serde_json::from_slice::<serde_json::Value>(&body).is_ok()), (200, true));
    assert_eq!((sim.faults().happened(), sim.faults().waiting()), (3, 0));
}

#[test]
fn an_endless_answer_ends_with_the_stand_in() {
    let sim = Simulator::start(Config::default());
    let bearer = token(&sim, "https://graph.microsoft.com/.default");
    sim.faults().push(Fault::once(Route::Any, FaultKind::Endless(Duration::from_millis(5))));
    let host = sim.graph_url().split_once("://").unwrap().1.to_string();
    let mut stream = TcpStream::connect(&host).unwrap();
    write!(stream, "GET /v1.0/security/incidents?$top=1 HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {bearer}\r\n\r\n")
        .unwrap();
    let mut bytes = vec![0; 64 * 1024];
    let mut seen = 0;
    for _ in 0..20 {
        seen += stream.read(&mut bytes).unwrap();
    }
    assert!(seen > 0);
    drop(sim);
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    while matches!(stream.read(&mut bytes), Ok(read) if read > 0) {}
}

/// A TLS client that trusts the certificates of a PEM file and nothing else.
fn tls(name: &str, trust: &Path, stream: TcpStream) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(trust).unwrap() {
        // A root of version 1 is taken; it is the leaf that is refused.
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(name.to_string()).unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream)
}

#[test]
fn microsofts_own_names_lead_here_through_the_proxy() {
    let sim = Simulator::start(Config { tls: true, ..Config::default() });
    let proxy = sim.proxy(Access::Basic("user".to_string(), "pass word".to_string())).unwrap();
    let connect = |authorization: &str| {
        let mut stream = TcpStream::connect(proxy.url().strip_prefix("http://").unwrap()).unwrap();
        write!(stream, "CONNECT graph.microsoft.com:443 HTTP/1.1\r\nHost: graph.microsoft.com:443\r\n{authorization}\r\n")
            .unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        (String::from_utf8(head).unwrap(), stream)
    };
    let (refused, _) = connect("");
    assert!(refused.starts_with("HTTP/1.1 407") && refused.contains("Proxy-Authenticate: Basic"), "{refused}");
    let (accepted, stream) = connect("Proxy-Authorization: Basic dXNlcjpwYXNzIHdvcmQ=\r\n");
    assert!(accepted.starts_with("HTTP/1.1 200"), "{accepted}");
    let mut secure = tls("graph.microsoft.com", sim.ca_bundle(), stream);
    write!(secure, "GET /v1.0/security/incidents HTTP/1.1\r\nHost: graph.microsoft.com\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    secure.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    let statuses: Vec<_> = proxy.tunnels().iter().map(|tunnel| (tunnel.target.clone(), tunnel.status)).collect();
    assert_eq!(statuses, [("graph.microsoft.com:443".to_string(), 407), ("graph.microsoft.com:443".to_string(), 200)]);
    assert_eq!(sim.requests().len(), 1);
}

#[test]
fn event_hubs_are_reached_through_the_proxy_as_a_web_socket() {
    let sim = Simulator::start(Config { tls: true, ..Config::default() });
    let proxy = sim.proxy(Access::Open).unwrap();
    let host = "contoso.servicebus.windows.net";
    let mut stream = TcpStream::connect(proxy.url().strip_prefix("http://").unwrap()).unwrap();
    write!(stream, "CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n").unwrap();
    let mut head = [0; 39];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(head.as_slice(), b"HTTP/1.1 200 Connection established\r\n\r\n");
    let mut secure = tls(host, sim.ca_bundle(), stream);
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: amqp";
    let upgrade = format!("Host: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{key}");
    write!(secure, "GET /$servicebus/websocket HTTP/1.1\r\n{upgrade}\r\n\r\n").unwrap();
    // A masked frame with AMQP's header for SASL; the mask is nought.
    secure.write_all(b"\x82\x88\0\0\0\0AMQP\x03\x01\x00\x00").unwrap();
    let mut answer = Vec::new();
    while !answer.windows(9).any(|window| window == b"ANONYMOUS") {
        let mut buffer = [0; 1024];
        let read = secure.read(&mut buffer).unwrap();
        assert_ne!(read, 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&buffer[..read]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 Switching Protocols\r\n"));
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    assert!(answer[end] == 0x82 && answer[end + 2..].starts_with(b"AMQP\x03\x01\x00\x00"), "{:x?}", &answer[end..]);
    let connection = sim.event_hubs().record().connections[0].clone();
    assert_eq!((connection.tls, connection.web_socket), (true, true));
}

#[test]
fn the_proxy_leads_nowhere_else() {
    let sim = Simulator::start(Config::default());
    let proxy = sim.proxy(Access::Open).unwrap();
    let mut stream = TcpStream::connect(proxy.url().strip_prefix("http://").unwrap()).unwrap();
    write!(stream, "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
}

#[test]
fn an_ordinary_client_refuses_splunkds_certificate_as_it_refuses_splunks() {
    let sim = Simulator::start(Config { splunkd_tls: true, ..Config::default() });
    let stream = TcpStream::connect(sim.splunkd_url().strip_prefix("https://").unwrap()).unwrap();
    let mut secure = tls("127.0.0.1", &sim.splunk_home().join("etc/auth/cacert.pem"), stream);
    let error = secure.write_all(b"GET / HTTP/1.1\r\n\r\n").and_then(|()| secure.flush()).unwrap_err();
    assert!(error.to_string().contains("UnsupportedCertVersion"), "{error}");
}

#[test]
fn a_cut_answer_ends_before_its_frame_says_so() {
    let sim = Simulator::start(Config::default());
    sim.faults().push(Fault::once(Route::Any, FaultKind::Cut(40)));
    let (status, head, body) = ask(sim.graph_url(), "GET /v1.0/security/incidents", "");
    let promised: usize = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap().parse().unwrap();
    assert_eq!((status, body.len()), (401, 40));
    assert!(promised > 40);
}

#[test]
fn two_requests_share_a_connection_and_chunks_are_read() {
    let sim = Simulator::start(Config::default());
    let host = sim.splunkd_url().split_once("://").unwrap().1.to_string();
    let mut stream = TcpStream::connect(&host).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let key = sim.session_key();
    let head = format!(
        "POST /servicesNS/nobody/TA_defender/storage/passwords HTTP/1.1\r\nHost: {host}\r\nAuthorization: Splunk {key}\r\n"
    );
    let head = format!("{head}Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n");
    write!(stream, "{head}\r\n9\r\nname=a&pa\r\n8\r\nssword=b\r\n0\r\n\r\n").unwrap();
    write!(stream, "{head}Connection: close\r\n\r\n11\r\nname=a&password=b\r\n0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201") && answer.contains("HTTP/1.1 409"), "{answer}");
    assert_eq!(sim.world(|world| world.splunkd.password("", "a").map(str::to_string)), Some("b".to_string()));
}

#[test]
fn the_services_clock_may_differ_from_ours() {
    let sim = Simulator::start(Config::default());
    sim.world(|world| world.clock_ahead = 7200);
    let (_, head, _) = ask(sim.graph_url(), "GET /v1.0/security/incidents", "");
    let date = head.lines().find_map(|line| line.strip_prefix("Date: ")).unwrap();
    let ahead = sim.now().unix();
    let near = (ahead - 2..=ahead).map(|second| simulator::Time::from_unix(second).http_date());
    assert!(near.into_iter().any(|wanted| wanted == date), "{date}");
}
