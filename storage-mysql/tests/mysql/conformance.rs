//! The suite that proves a store, on both servers, on the store itself and behind a pointer.

use std::sync::Arc;

use tracking_core::Store;

macro_rules! on {
    ($server:ident, $kind:expr) => {
        mod $server {
            use super::*;

            mod mysql_store {
                use storage_mysql::MySqlStore;
                use test_server::Kind;

                async fn empty_store() -> (Option<MySqlStore>, ()) {
                    (crate::support::store($kind).await, ())
                }

                tracking_core::store_conformance!(empty_store);
            }

            mod arc_dyn_store {
                use super::*;
                use test_server::Kind;

                async fn empty_store() -> (Option<Arc<dyn Store>>, ()) {
                    (crate::support::store($kind).await.map(|store| Arc::new(store) as Arc<dyn Store>), ())
                }

                tracking_core::store_conformance!(empty_store);
            }
        }
    };
}

on!(mariadb, Kind::MariaDb);
on!(mysql, Kind::MySql);
