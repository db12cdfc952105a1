//! What browsers are told: which pages may ask and read, and what every answer says of itself.

use super::demo::Demo;
use reqwest::{Method, Response, StatusCode, header::HeaderValue};
use serde_json::json;
use std::process::Stdio;
use tokio_tungstenite::tungstenite::{Error, client::IntoClientRequest};

const OURS: &str = "https://app.example.org";

async fn ask(demo: &Demo, method: Method, path: &str, headers: &[(&'static str, &str)]) -> Response {
    let request = demo.caller("ann").http.request(method.clone(), format!("{}{path}", demo.url("url")));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let request = if method == Method::POST { request.json(&json!({ "query": "{ __typename }" })) } else { request };
    request.send().await.unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// What an attempt to open a socket from a page of this origin is answered with.
async fn socket_from(demo: &Demo, origin: &str) -> u16 {
    let mut request = format!("{}/graphql", demo.url("url").replace("http", "ws")).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
    request.headers_mut().insert("origin", HeaderValue::from_bytes(origin.as_bytes()).unwrap());
    match tokio_tungstenite::connect_async(request).await {
        Ok((_, response)) => response.status().as_u16(),
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_named_origins_may_ask_read_and_open_sockets() {
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--allow-origin", "https://APP.example.org:443", "--allow-origin", "http://localhost:3000"];
    let mut demo = Demo::start_with(&directory.path().join("data"), &flags, Stdio::null()).await;
    let preflight =
        [("access-control-request-method", "POST"), ("access-control-request-headers", "authorization,content-type")];
    for origin in [OURS, "http://localhost:3000"] {
        let asked = ask(&demo, Method::OPTIONS, "/graphql", &[&preflight[..], &[("origin", origin)]].concat()).await;
        assert_eq!((asked.status(), header(&asked, "access-control-allow-origin")), (StatusCode::OK, origin));
        for (name, said) in [
            ("access-control-allow-methods", "GET,POST"),
            ("access-control-allow-headers", "authorization,content-type,last-event-id,x-request-id"),
            ("access-control-max-age", "600"),
        ] {
            assert_eq!(header(&asked, name), said);
        }
        let answer = ask(&demo, Method::POST, "/graphql", &[("origin", origin)]).await;
        assert_eq!(header(&answer, "access-control-allow-origin"), origin);
        let shown = "retry-after,ratelimit,ratelimit-policy,x-request-id";
        assert_eq!(header(&answer, "access-control-expose-headers"), shown);
        // A cache must not hand one origin's answer to another.
        assert!(header(&answer, "vary").contains("origin"), "{:?}", answer.headers());
        assert_eq!(header(&answer, "access-control-allow-credentials"), "");
        assert_eq!(socket_from(&demo, origin).await, 101);
    }
    let own = demo.url("url");
    assert_eq!(socket_from(&demo, &own).await, 101);
    // Nor is one that only begins as the server's own does, or cannot be read.
    let (port, name) = (format!("{own}0"), format!("{own}.evil.example"));
    assert_eq!(socket_from(&demo, "https://\u{e4}pp.example.org").await, 403);
    let named = ["https://evil.example", "https://app.example.org.evil.example", "http://app.example.org", "null"];
    for origin in named.into_iter().chain([port.as_str(), name.as_str()]) {
        let asked = ask(&demo, Method::OPTIONS, "/graphql", &[&preflight[..], &[("origin", origin)]].concat()).await;
        let answer = ask(&demo, Method::POST, "/graphql", &[("origin", origin)]).await;
        for response in [asked, answer] {
            assert_eq!(header(&response, "access-control-allow-origin"), "", "{origin}");
        }
        assert_eq!(socket_from(&demo, origin).await, 403, "{origin}");
    }
    // What the demo's page reads is nobody else's.
    let session = ask(&demo, Method::GET, "/playground/session.json", &[("origin", OURS)]).await;
    assert_eq!(header(&session, "access-control-allow-origin"), "");
    demo.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_says_what_a_browser_may_do_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut demo = Demo::start_with(&directory.path().join("data"), &[], Stdio::null()).await;
    let pages = ["/playground", "/set-password?token=x"];
    let others = ["/graphql?query=%7B__typename%7D", "/graphql", "/healthz", "/nowhere", "/playground/playground.js"];
    for path in pages.into_iter().chain(others) {
        let answer = ask(&demo, Method::GET, path, &[("origin", "https://evil.example")]).await;
        let policy = header(&answer, "content-security-policy");
        assert!(policy.starts_with("default-src 'none'"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("base-uri 'none'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{path}: {policy}");
        assert_eq!(policy.contains("script-src"), pages.contains(&path), "{path}: {policy}");
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header(&answer, "referrer-policy"), "no-referrer", "{path}");
        assert_eq!(header(&answer, "cross-origin-resource-policy"), "same-origin", "{path}");
        assert_eq!(header(&answer, "cross-origin-opener-policy"), "same-origin", "{path}");
        assert!(["no-store", "no-cache"].contains(&header(&answer, "cache-control")), "{path}");
        assert!(header(&answer, "permissions-policy").contains("camera=()"), "{path}");
        assert_eq!(header(&answer, "access-control-allow-origin"), "", "{path}");
    }
    demo.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_has_its_name_resolve_to_this_machine_reads_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let mut demo = Demo::start_with(&directory.path().join("data"), &[], Stdio::null()).await;
    for (host, status) in [
        ("localhost:4280", StatusCode::OK),
        ("LOCALHOST", StatusCode::OK),
        ("127.0.0.1:1", StatusCode::OK),
        ("[::1]:4280", StatusCode::OK),
        ("evil.example:4280", StatusCode::NOT_FOUND),
        ("localhost.evil.example", StatusCode::NOT_FOUND),
        ("192.0.2.7:4280", StatusCode::NOT_FOUND),
    ] {
        let session = ask(&demo, Method::GET, "/playground/session.json", &[("host", host)]).await;
        assert_eq!(session.status(), status, "{host}");
    }
    // What a page may run is new each time, and where it may connect is a host.
    let mut policies = vec![];
    for host in ["a.example:4280", "a.example:4280", "a.example;script-src", "a.example script-src"] {
        let page = ask(&demo, Method::GET, "/playground", &[("host", host)]).await;
        policies.push(header(&page, "content-security-policy").to_owned());
    }
    assert!(policies[0].contains(" ws://a.example:4280 wss://a.example:4280;"), "{policies:?}");
    assert_ne!(policies[0], policies[1]);
    assert!(policies[2..].iter().all(|policy| !policy.contains("a.example")), "{policies:?}");
    demo.stop().await;
}
