//! How many files are imported at once.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::Value;
use storage_memory::MemoryStore;
use tracking_core::{Secret, Tracker};
use tracking_http::bytes::Bytes;
use tracking_http::http::{Request, Response, StatusCode};
use tracking_http::{Api, Body, Chunks, Resolution, guard};

const FILE: &str = "click_id,affiliate_id,amount,currency\nabc,1,1,USD\n";

async fn post(api: &Api, path: &str, media_type: &str, body: String) -> Response<Body> {
    let request = Request::post(path).header("content-type", media_type).body(()).unwrap();
    let Resolution::Found(matched) = Resolution::of(request.method(), path) else { panic!("{path} is ours") };
    api.handle(matched, &request.into_parts().0, None, Ok(body.into())).await
}

async fn import(api: &Api) -> Response<Body> {
    post(api, "/conversions/import", "text/csv", FILE.to_owned()).await
}

async fn paste(api: &Api) -> Response<Body> {
    let form = url::form_urlencoded::Serializer::new(String::new()).append_pair("file", FILE).finish();
    post(api, "/dashboard/import", "application/x-www-form-urlencoded", form).await
}

/// All of an answer.
async fn read(response: Response<Body>) -> Bytes {
    match response.into_body() {
        Body::Whole(whole) => whole,
        Body::Chunks(chunks) => chunks.map(Result::unwrap).collect::<Vec<Bytes>>().await.concat().into(),
    }
}

#[tokio::test]
async fn few_files_are_imported_at_once() {
    let api = Api::new(Tracker::new(MemoryStore::new(), Secret::random()), guard::open());
    let first = import(&api).await;
    assert_eq!(paste(&api).await.status(), StatusCode::OK, "one more goes on beside it, and is done");
    let second = import(&api).await;
    assert_eq!((first.status(), second.status()), (StatusCode::OK, StatusCode::OK));

    let third = import(&api).await;
    assert_eq!(third.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(third.headers()["retry-after"], "30");
    let answer: Value = serde_json::from_slice(&read(third).await).unwrap();
    assert_eq!(answer["error"]["code"], "imports_busy", "{answer}");
    assert!(answer["message"].as_str().unwrap().contains("Nothing of this one was taken"), "{answer}");
    let page = paste(&api).await;
    assert_eq!(
        (page.status(), &page.headers()["retry-after"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"30".parse().unwrap())
    );
    let page = String::from_utf8(read(page).await.into()).unwrap();
    assert!(
        page.contains("data-test=\"wrong-file\"") && page.contains("abc,1,1,USD"),
        "what was pasted comes back: {page}"
    );
    // What is no such file is told so all the same.
    let none = post(&api, "/conversions/import", "text/csv", "amount\n".to_owned()).await;
    assert_eq!(none.status(), StatusCode::BAD_REQUEST);

    // Who has read all of it is done, and so is who has hung up.
    assert!(!read(first).await.is_empty());
    let third = import(&api).await;
    assert_eq!(third.status(), StatusCode::OK);
    assert_eq!(import(&api).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(second);
    assert_eq!(import(&api).await.status(), StatusCode::OK);
}

/// A file with more lines than are taken at once, so that its answer has several parts.
async fn long_import(api: &Api) -> Response<Body> {
    let lines: String = (0..136).map(|number| format!("unknown-{number},1,1,USD\n")).collect();
    post(api, "/conversions/import", "text/csv", format!("click_id,affiliate_id,amount,currency\n{lines}")).await
}

fn parts(response: Response<Body>) -> Chunks {
    match response.into_body() {
        Body::Chunks(parts) => parts,
        Body::Whole(whole) => panic!("it is {whole:?}"),
    }
}

fn lines(part: Option<std::io::Result<Bytes>>) -> usize {
    std::str::from_utf8(&part.unwrap().unwrap()).unwrap().lines().count()
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_on_loses_his_turn_to_another() {
    let api = Api::new(Tracker::new(MemoryStore::new(), Secret::random()), guard::open());
    let (mut left, mut slow) = (parts(long_import(&api).await), parts(long_import(&api).await));
    assert_eq!(
        (lines(left.next().await), lines(left.next().await)),
        (1, 64),
        "the header, and what has become of 64 lines"
    );
    assert_eq!(lines(slow.next().await), 1);
    tokio::time::advance(Duration::from_secs(59)).await;
    assert_eq!(import(&api).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(lines(slow.next().await), 64);
    tokio::time::advance(Duration::from_secs(1)).await;

    let third = import(&api).await;
    assert_eq!(third.status(), StatusCode::OK);
    assert!(left.next().await.unwrap().is_err(), "the answer breaks off, and does not look like a whole one");
    assert!(left.next().await.is_none());
    assert_eq!(import(&api).await.status(), StatusCode::SERVICE_UNAVAILABLE, "there was one turn to be had");
    assert_eq!((lines(slow.next().await), lines(slow.next().await)), (64, 8), "who reads slowly has all of it");
    assert!(slow.next().await.is_none());
    assert_eq!(read(third).await.iter().filter(|byte| **byte == b'\n').count(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_is_in_nobodys_way_may_read_on_at_any_time() {
    let api = Api::new(Tracker::new(MemoryStore::new(), Secret::random()), guard::open());
    let mut answer = parts(long_import(&api).await);
    let mut count = 0;
    while let Some(part) = answer.next().await {
        count += lines(Some(part));
        tokio::time::advance(Duration::from_secs(3600)).await;
        // Another one has the second turn.
        assert_eq!(import(&api).await.status(), StatusCode::OK);
    }
    assert_eq!(count, 137);
}

#[tokio::test(start_paused = true)]
async fn who_was_left_longest_loses_his_turn() {
    for longest in [0, 1] {
        let api = Api::new(Tracker::new(MemoryStore::new(), Secret::random()), guard::open());
        let mut both = [parts(long_import(&api).await), parts(long_import(&api).await)];
        tokio::time::advance(Duration::from_secs(60)).await;
        let other = &mut both[1 - longest];
        assert_eq!((lines(other.next().await), lines(other.next().await)), (1, 64));
        tokio::time::advance(Duration::from_secs(60)).await;

        assert_eq!(import(&api).await.status(), StatusCode::OK);
        assert_eq!(lines(both[1 - longest].next().await), 64, "he has read something since");
        assert_eq!(lines(both[longest].next().await), 1);
        assert!(both[longest].next().await.unwrap().is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_all_lines_is_whole_however_late_it_is_read() {
    let api = Api::new(Tracker::new(MemoryStore::new(), Secret::random()), guard::open());
    let (mut whole, mut long) = (parts(import(&api).await), parts(long_import(&api).await));
    assert_eq!(import(&api).await.status(), StatusCode::SERVICE_UNAVAILABLE, "no line of them was taken");
    assert_eq!((lines(whole.next().await), lines(whole.next().await)), (1, 1));
    assert_eq!((lines(long.next().await), lines(long.next().await)), (1, 64));

    let third = import(&api).await;
    assert_eq!(third.status(), StatusCode::OK, "all lines of one of them were taken");
    assert_eq!(import(&api).await.status(), StatusCode::SERVICE_UNAVAILABLE, "lines of the other one are left");
    tokio::time::advance(Duration::from_secs(60)).await;
    let others = [import(&api).await, import(&api).await];
    assert!(others.iter().all(|other| other.status() == StatusCode::OK), "nobody has gone on reading what goes on");
    assert!(whole.next().await.is_none(), "it ends as it should");
}
