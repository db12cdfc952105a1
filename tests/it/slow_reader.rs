//! Clients that listen and do not read: whom they delay, how much is kept for them and where, and what they are told.
//! Never measures time: it counts, and waits.

use super::{
    situation::{Names, Stage, situate},
    way::{Said, Sent, Way},
    world::World,
};
use countersign::http::Bounds;
use futures_util::StreamExt;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{io::AsyncWriteExt, net::TcpSocket};
use tokio_tungstenite::{
    MaybeTlsStream,
    tungstenite::{Message, client::IntoClientRequest},
};

const PATIENCE: Duration = Duration::from_secs(60);
const BRIEF: &str = "subscription($after: EventCursor) { events(after: $after) { node { kind } } }";
/// The largest text that a field holds, or nearly.
const LONG: usize = 19_000;

/// What a subscription says of the next event.
async fn node(sent: &mut Sent) -> Value {
    loop {
        match sent.next(PATIENCE).await {
            Some(Said::Answer(answer)) if answer.pointer("/data/events/node").is_some_and(Value::is_null) => {}
            Some(Said::Answer(answer)) => return answer["data"]["events"]["node"].clone(),
            Some(Said::Complete) => panic!("it ended"),
            Some(Said::Closed(code)) => panic!("closed: {code}"),
            None => panic!("nothing came"),
        }
    }
}

/// Describes a project, once more than so often before.
async fn describe(world: &World, names: &Names, times: usize, length: usize) {
    let revision = names["projectRevision"].as_u64().unwrap() + times as u64;
    let fields = json!([{ "key": "description", "value": { "text": format!("{times} {}", "x".repeat(length)) } }]);
    let input = json!({ "itemId": names["project"], "expectedRevision": revision, "fields": fields });
    world.ann().update_item(input).await.done();
}

/// A document whose messages say a description so often.
fn saying(times: usize) -> String {
    let all: String = (0..times).map(|n| format!("a{n}: newValue {{ ...text }} ")).collect();
    format!(
        "subscription($after: EventCursor) {{ events(after: $after) {{ node {{ kind {all} }} }} }}
         fragment text on FieldValue {{ ... on TextValue {{ text }} }}"
    )
}

/// The position behind everything.
async fn now(world: &World) -> Value {
    world.ann().ask("{ timeline(first: 1) { nodes { cursor } } }", json!({})).await.at("/timeline/nodes/0/cursor")
}

/// A connection of a client whose machine keeps little of what he does not read.
async fn narrow(address: &str) -> tokio::net::TcpStream {
    let narrow = TcpSocket::new_v4().unwrap();
    narrow.set_recv_buffer_size(4_096).unwrap();
    narrow.connect(address.parse().unwrap()).await.unwrap()
}

/// Subscribes over a socket on such a connection.
async fn subscribe(world: &World, document: &str, after: &Value) -> Sent {
    let address = world.ann().address;
    let mut request = format!("ws://{address}/graphql").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
    let stream = MaybeTlsStream::Plain(narrow(&address).await);
    let (socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    world.ann().send_by(socket, document, json!({ "after": after })).await
}

/// What it is told late lies in the log, not in memory.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_does_not_read_delays_nobody_and_loses_nothing() {
    const TIMES: usize = 40;
    let world = World::new().await;
    let names = situate(&world, "acme", Stage::Project, 1).await;
    let after = now(&world).await;
    // Each message has two hundred kilobytes: a few fill what the machine holds between two ends.
    let mut stalled = subscribe(&world, &saying(10), &after).await;
    let mut reading = world.ann().send(Way::Socket, BRIEF, json!({ "after": after })).await;
    describe(&world, &names, 0, LONG).await;
    assert_eq!(node(&mut stalled).await["kind"], "FIELD_CHANGED");
    node(&mut reading).await;
    for times in 1..=TIMES {
        describe(&world, &names, times, LONG).await;
        assert_eq!(node(&mut reading).await["kind"], "FIELD_CHANGED", "told while another does not read");
    }
    let told = world.api().deliveries().told();
    assert!(told < 2 * (1 + TIMES as u64), "everything fitted between the two ends");
    for times in 1..=TIMES {
        let heard = node(&mut stalled).await;
        assert!(heard["a9"]["text"].as_str().unwrap().starts_with(&format!("{times} ")), "in order, each once");
    }
    drop((stalled, reading));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kernel_keeps_little_of_what_is_pushed() {
    const TIMES: usize = 60;
    const LENGTH: usize = 4_000;
    let world = World::new().await;
    let names = situate(&world, "acme", Stage::Project, 1).await;
    let after = now(&world).await;
    for way in [Way::Socket, Way::Stream] {
        let begun = if way == Way::Socket { 0 } else { TIMES + 1 };
        let after = now(&world).await;
        let (mut reading, told) =
            (world.ann().send(Way::Socket, BRIEF, json!({ "after": after })).await, world.api().deliveries().told());
        let mut held = None;
        if way == Way::Socket {
            let mut stalled = subscribe(&world, &saying(1), &after).await;
            describe(&world, &names, begun, LENGTH).await;
            node(&mut stalled).await;
            held = Some(stalled);
        } else {
            describe(&world, &names, begun, LENGTH).await;
        }
        let ann = world.ann();
        let mut stream = narrow(&ann.address).await;
        if way == Way::Stream {
            let body = json!({ "query": saying(1), "variables": { "after": after } }).to_string();
            let head = format!(
                "POST /graphql HTTP/1.1\r\nhost: test\r\naccept: text/event-stream\r\ncontent-type: application/json\r\n\
                 authorization: Bearer {}\r\ncontent-length: {}\r\n\r\n",
                ann.credential.as_ref().unwrap(),
                body.len()
            );
            stream.write_all((head + &body).as_bytes()).await.unwrap();
            let soon = async {
                while world.api().deliveries().told() == told {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(PATIENCE, soon).await.expect("the stream begins");
        }
        node(&mut reading).await;
        for times in 1..=TIMES {
            describe(&world, &names, begun + times, LENGTH).await;
            node(&mut reading).await;
        }
        // What both were told, but for what the other read.
        let told = world.api().deliveries().told() - told;
        let kept = (told as usize - 1 - TIMES) * LENGTH;
        assert!(kept <= 64 * 1_024, "{way:?}: {kept} bytes lie between the server and who does not read");
        drop((held, stream));
    }
    drop(after);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_too_slowly_is_told_so() {
    let mut world = World::new().await;
    world.bounds = Bounds { write: Duration::from_millis(500), ..Bounds::default() };
    world.restart().await;
    let names = situate(&world, "acme", Stage::Project, 1).await;
    let after = now(&world).await;
    let Sent::Socket(mut socket, subscribe) = subscribe(&world, &saying(10), &after).await else {
        panic!("it is a socket");
    };
    while !matches!(socket.next().await.unwrap().unwrap(), Message::Text(text) if text.contains("connection_ack")) {}
    futures_util::SinkExt::send(&mut *socket, Message::text(subscribe.to_string())).await.unwrap();
    describe(&world, &names, 0, LONG).await;
    // The server gives up, and closes what the socket had open. That it says so is what comes after everything else.
    let open = "{ tenant { quota { sockets { used } } } }";
    let soon = async {
        while world.admin().ask(open, json!({})).await.at("/tenant/quota/sockets/used") != json!(0) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, soon).await.expect("the server gives up");
    let code = loop {
        match tokio::time::timeout(PATIENCE, socket.next()).await.unwrap().expect("a close frame").unwrap() {
            Message::Close(frame) => break frame.map(|frame| u16::from(frame.code)),
            Message::Text(_) | Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    };
    assert_eq!(code, Some(1013));
    drop(socket);
    world.end().await;
}
