//! Errors of a store, as a log shows them: each link of the chain says something of its own.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::error::Error;
use std::io;

use tracking_core::StoreError;

fn chain(error: &dyn Error) -> Vec<String> {
    std::iter::successors(Some(error), |&error| error.source()).map(ToString::to_string).collect()
}

#[test]
fn source_is_kept_and_never_repeated() {
    let errors = [
        StoreError::unavailable("insert click", io::Error::new(io::ErrorKind::ConnectionRefused, "refused by db-1")),
        StoreError::backend("insert click", io::Error::new(io::ErrorKind::InvalidData, "refused by db-1")),
        StoreError::backend("insert click", "refused by db-1"),
    ];
    for error in errors {
        let chain = chain(&error);
        assert!(chain[0].starts_with("insert click failed"), "an error names the operation: {chain:?}");
        assert!(!chain[0].contains("db-1"), "the source is repeated: {chain:?}");
        assert_eq!(chain[1..], ["refused by db-1"]);
    }
    let error = StoreError::backend("insert click", io::Error::other("disk"));
    assert!(error.source().unwrap().downcast_ref::<io::Error>().is_some(), "the source keeps its type");
}

#[test]
fn refusals_have_no_source() {
    let errors = [
        StoreError::UnknownAffiliate("7".parse().unwrap()),
        StoreError::UnknownCampaign("10".parse().unwrap()),
        StoreError::UnknownClick("abc123".parse().unwrap()),
        StoreError::Full { capacity: 5 },
    ];
    let expected = [
        "affiliate 7 is not known",
        "campaign 10 is not known",
        "the click is not known",
        "the store is full: it holds the 5 records that it may hold",
    ];
    for (error, expected) in errors.into_iter().zip(expected) {
        assert_eq!(chain(&error), [expected]);
    }
}
