use std::io;
use std::net::SocketAddr;

use metrics_exporter_prometheus::BuildError;
use thiserror::Error;
use tracking_core::{ParseError, StoreError};

use crate::admin::AdminError;
use crate::database::DatabaseError;
use crate::demo_data::DemoDataError;

/// Why the server can't start, or a command can't be done.
#[derive(Debug, Error)]
pub(crate) enum StartError {
    #[error("can't listen on {address}; {}", remedy(.source))]
    Listen { address: SocketAddr, source: io::Error },
    #[error("can't start Rocket")]
    Rocket(#[source] Box<rocket::Error>),
    #[error("can't start the runtime")]
    Runtime(#[source] io::Error),
    #[error("can't listen for signals")]
    Signals(#[source] io::Error),
    #[error("can't collect metrics")]
    Metrics(#[from] BuildError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("stopped by {0} before it was done")]
    Interrupted(&'static str),
    #[error(transparent)]
    DemoData(#[from] DemoDataError),
    #[error("can't erase the click; the same command goes on where it ended")]
    Erase(#[source] StoreError),
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error("can't create the sample records")]
    Sample(#[from] StoreError),
    #[error(
        "can't create the sample campaign; its visitors are sent to a page below --public-url or TRACKING_PUBLIC_URL"
    )]
    SampleDestination(#[from] ParseError),
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "stop what listens there already, or set another address with --listen or TRACKING_LISTEN"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 may need privileges; set another address with --listen or TRACKING_LISTEN"
        }
        _ => "set an address of this machine with --listen or TRACKING_LISTEN",
    }
}
