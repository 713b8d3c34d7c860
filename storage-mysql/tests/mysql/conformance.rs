//! The suite that proves a store, on both servers; and behind a pointer, which makes no difference to a server, on one.

use std::sync::Arc;

use test_server::Kind;
use tracking_core::Store;

mod mariadb {
    use storage_mysql::MySqlStore;
    use test_server::Kind;

    async fn empty_store() -> (Option<MySqlStore>, ()) {
        (crate::support::store(Kind::MariaDb).await, ())
    }

    tracking_core::store_conformance!(empty_store);
}

mod mysql {
    use storage_mysql::MySqlStore;
    use test_server::Kind;

    async fn empty_store() -> (Option<MySqlStore>, ()) {
        (crate::support::store(Kind::MySql).await, ())
    }

    tracking_core::store_conformance!(empty_store);
}

mod arc_dyn_store {
    use super::*;

    async fn empty_store() -> (Option<Arc<dyn Store>>, ()) {
        (crate::support::store(Kind::MariaDb).await.map(|store| Arc::new(store) as Arc<dyn Store>), ())
    }

    tracking_core::store_conformance!(empty_store);
}
