//! Access tokens as an attacker would make them: all refused alike, over HTTP and over a socket; and the keys that sign
//! them, which change without anybody being thrown out.
//! The clock is moved by hand; nothing waits for a token to expire.

use super::{
    budget::on,
    quota::open,
    sign_in::{PASSWORD, ann_with_a_password, sign_in},
    world::World,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use countersign::{
    domain::time::Clock,
    limits::{ACCESS_TOKEN_LIFETIME_SECONDS, TOKEN_KEYS_MAX},
};
use ed25519_dalek::{SigningKey, pkcs8::EncodePrivateKey};
use futures_util::{SinkExt, StreamExt};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, encode, jwk::JwkSet};
use serde_json::{Value, json};
use std::time::Duration;
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

const ROTATE: &str = "mutation { rotateSigningKey { kid userErrors { code } } }";
const WHO: &str = "{ viewer { user { name } } }";

/// The server's own signing key, as only who reads its disk has it.
fn signing_key(world: &World) -> Vec<u8> {
    let stored = std::fs::read(world.data().join("keys/token-signing-keys.secret")).unwrap();
    let kept: Value = serde_json::from_slice(&stored[9..]).unwrap();
    URL_SAFE_NO_PAD.decode(kept[0]["pkcs8"].as_str().unwrap()).unwrap()
}

fn part(token: &str, n: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(n).unwrap()).unwrap()).unwrap()
}

fn encoded(part: &Value) -> String {
    URL_SAFE_NO_PAD.encode(part.to_string())
}

async fn jwks(world: &World) -> JwkSet {
    let stranger = world.stranger();
    let answer = stranger.http.get(format!("http://{}/.well-known/jwks.json", stranger.address)).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/jwk-set+json");
    answer.json().await.unwrap()
}

/// The status that a request with this credential is answered with, and what is answered.
async fn over_http(world: &World, token: &str) -> (u16, String) {
    let stranger = world.stranger();
    let request = stranger.http.post(format!("http://{}/graphql", stranger.address)).bearer_auth(token);
    let answer = request.json(&json!({ "query": WHO })).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// With which code a socket is closed that introduces itself with this credential; 0 when it is let in.
async fn over_websocket(world: &World, token: &str) -> u16 {
    let mut request = format!("ws://{}/graphql", world.stranger().address).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    let payload = json!({ "type": "connection_init", "payload": { "authorization": format!("Bearer {token}") } });
    // A server that does not read on may have closed before all is sent.
    socket.send(Message::text(payload.to_string())).await.ok();
    match tokio::time::timeout(Duration::from_secs(5), socket.next()).await.unwrap() {
        Some(Ok(Message::Close(frame))) => frame.map_or(1005, |frame| frame.code.into()),
        Some(Ok(Message::Text(text))) if text.contains("connection_ack") => 0,
        Some(Err(_)) | None => 1006,
        other => panic!("{other:?}"),
    }
}

/// Every confused token, by what is wrong with it.
async fn confused(world: &World) -> Vec<(String, String)> {
    let token = world.ann().credential.unwrap().to_string();
    let (header, claims) = (part(&token, 0), part(&token, 1));
    let kid = header["kid"].as_str().unwrap().to_owned();
    let signature = token.rsplit('.').next().unwrap().to_owned();
    let now = world.clock.now().milliseconds() / 1_000;
    let own = EncodingKey::from_ed_der(&signing_key(world));
    let eddsa = |kid: Option<&str>| Header { kid: kid.map(str::to_owned), ..Header::new(Algorithm::EdDSA) };
    let with = |changes: Value| {
        let mut claims = claims.clone();
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    };
    let signed = |claims: &Value| encode(&eddsa(Some(&kid)), claims, &own).unwrap();
    // What is not confused is accepted, to the last second of the leeway.
    for good in [
        signed(&claims),
        signed(&with(json!({ "exp": now - 29 }))),
        signed(&with(json!({ "iat": now + 30, "exp": now + 60 }))),
    ] {
        assert_eq!(over_http(world, &good).await.0, 200);
        assert_eq!(over_websocket(world, &good).await, 0);
    }
    let public = URL_SAFE_NO_PAD.decode(jwks_x(world).await).unwrap();
    let hs256 = |secret: &[u8]| {
        let header = Header { kid: Some(kid.clone()), ..Header::new(Algorithm::HS256) };
        encode(&header, &claims, &EncodingKey::from_secret(secret)).unwrap()
    };
    let foreign = SigningKey::from_bytes(&[7; 32]).to_pkcs8_der().unwrap();
    let foreign = EncodingKey::from_ed_der(foreign.as_bytes());
    let none = json!({ "alg": "none", "kid": kid });
    let mut all = vec![
        ("alg none without a signature".to_owned(), format!("{}.{}.", encoded(&none), encoded(&claims))),
        ("alg none with a signature".to_owned(), format!("{}.{}.{signature}", encoded(&none), encoded(&claims))),
        ("HS256 with the public key".to_owned(), hs256(&public)),
        ("HS256 with the public key as text".to_owned(), hs256(jwks_x(world).await.as_bytes())),
        ("HS256 with nothing".to_owned(), hs256(b"")),
        ("another key under our kid".to_owned(), encode(&eddsa(Some(&kid)), &claims, &foreign).unwrap()),
        ("another kid".to_owned(), encode(&eddsa(Some("AAAAAAAAAAAAAAAA")), &claims, &own).unwrap()),
        ("no kid".to_owned(), encode(&eddsa(None), &claims, &own).unwrap()),
        ("wrong aud".to_owned(), signed(&with(json!({ "aud": "elsewhere" })))),
        ("wrong iss".to_owned(), signed(&with(json!({ "iss": "elsewhere" })))),
        ("expired".to_owned(), signed(&with(json!({ "exp": now - 30 })))),
        ("not yet".to_owned(), signed(&with(json!({ "iat": now + 31, "exp": now + 60 })))),
        ("times as text".to_owned(), signed(&with(json!({ "exp": "9999999999" })))),
        ("another user".to_owned(), signed(&with(json!({ "sub": claims["sid"] })))),
        ("another tenant".to_owned(), signed(&with(json!({ "tid": claims["sub"] })))),
        ("another session".to_owned(), signed(&with(json!({ "sid": claims["sub"] })))),
        // As much as the head of a request holds; what is larger is not read.
        ("12 kB of claims".to_owned(), signed(&with(json!({ "jti": "j".repeat(9_000) })))),
        ("12 kB of nothing".to_owned(), "x".repeat(12_000)),
        ("no token at all".to_owned(), "..".to_owned()),
    ];
    let embedded = json!({ "alg": "EdDSA", "kid": kid, "jwk": { "kty": "OKP", "crv": "Ed25519", "x": "AAAA" },
        "jku": "https://elsewhere.example/keys", "x5u": "https://elsewhere.example/cert" });
    all.push(("a key of its own".to_owned(), format!("{}.{}.{signature}", encoded(&embedded), encoded(&claims))));
    for name in ["iss", "aud", "sub", "tid", "sid", "iat", "exp", "jti"] {
        let mut without = claims.clone();
        without.as_object_mut().unwrap().remove(name).unwrap();
        all.push((format!("no {name}"), signed(&without)));
    }
    all
}

async fn jwks_x(world: &World) -> String {
    serde_json::to_value(jwks(world).await).unwrap()["keys"][0]["x"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_confused_token_is_refused() {
    let world = World::new().await;
    let table = confused(&world).await;
    assert!(table.len() >= 28);
    for (what, token) in &table {
        let (status, body) = over_http(&world, token).await;
        assert_eq!(status, 401, "{what}: {body}");
        assert!(body.contains("UNAUTHENTICATED") && !body.contains("\"user\":{"), "{what}: {body}");
        assert_eq!(over_websocket(&world, token).await, 4403, "{what}");
    }
    // A megabyte is refused before anybody looks for a token in it.
    let huge = "x".repeat(1_000_000);
    // The server answers 431 without reading on; a client that is still sending then may meet the closed connection first.
    let stranger = world.stranger();
    let request = stranger.http.post(format!("http://{}/graphql", stranger.address)).bearer_auth(&huge);
    match request.json(&json!({ "query": "{ __typename }" })).send().await {
        Ok(answer) => assert_eq!(answer.status(), 431),
        Err(error) => assert!(error.is_request(), "{error}"),
    }
    assert!([1006, 1009].contains(&over_websocket(&world, &huge).await));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_signing_key_changes_and_nobody_is_thrown_out() {
    let mut world = World::new().await;
    let ann = ann_with_a_password(&world).await;
    let before = sign_in(&world, &ann, PASSWORD).await.text("/signIn/accessToken");
    let old = part(&before, 0)["kid"].as_str().unwrap().to_owned();
    world.admin().ask(ROTATE, json!({})).await.refused("FORBIDDEN");
    assert_eq!(jwks(&world).await.keys.len(), 1);
    let new = world.operator().ask(ROTATE, json!({})).await.text("/rotateSigningKey/kid");
    let after = sign_in(&world, &ann, PASSWORD).await.text("/signIn/accessToken");
    assert_eq!(part(&after, 0)["kid"], new.as_str());
    assert_ne!(old, new);
    // Whoever has the public keys verifies both without asking the server.
    let keys = jwks(&world).await;
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_audience(&["countersign"]);
    validation.validate_exp = false;
    for (kid, token) in [(&old, &before), (&new, &after)] {
        let key = DecodingKey::from_jwk(keys.find(kid).unwrap()).unwrap();
        jsonwebtoken::decode::<Value>(token, &key, &validation).unwrap();
    }
    world.restart().await;
    world.clock.advance(ACCESS_TOKEN_LIFETIME_SECONDS + 29);
    world.bea().ask(WHO, json!({})).await.done();
    for token in [&before, &after] {
        assert_eq!(over_http(&world, token).await.0, 200);
    }
    world.clock.advance(1);
    for token in [&before, &after] {
        assert_eq!(over_http(&world, token).await.0, 401);
    }
    // The old key is out, and with it whatever it signed for longer: the tokens of the fixtures are good for a day.
    let kids: Vec<_> = jwks(&world).await.keys.into_iter().map(|key| key.common.key_id.unwrap()).collect();
    assert_eq!(kids, [new]);
    world.bea().ask(WHO, json!({})).await.refused("UNAUTHENTICATED");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_keys_are_kept_and_what_others_signed_is_good_no_more() {
    let world = World::new().await;
    let mut socket = open(&world.ann()).await.unwrap();
    for n in 1..TOKEN_KEYS_MAX {
        world.operator().ask(ROTATE, json!({})).await.done();
        assert_eq!(jwks(&world).await.keys.len(), n + 1);
    }
    // The first key is the last that is kept: who came with it goes on, with requests and on sockets.
    world.bea().ask(WHO, json!({})).await.done();
    let (kind, answer) = on(&mut socket, "1", WHO).await;
    assert!(kind == "next" && answer["errors"].is_null(), "{answer}");
    world.operator().ask(ROTATE, json!({})).await.done();
    assert_eq!(jwks(&world).await.keys.len(), TOKEN_KEYS_MAX);
    world.bea().ask(WHO, json!({})).await.refused("UNAUTHENTICATED");
    let (_, answer) = on(&mut socket, "2", WHO).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAUTHENTICATED", "{answer}");
    world.end().await;
}
