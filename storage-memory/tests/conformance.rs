//! The suite that proves a store, on the store itself and behind each pointer that is a store too.

use storage_memory::MemoryStore;

mod memory_store {
    use super::MemoryStore;

    async fn empty_store() -> (MemoryStore, ()) {
        (MemoryStore::new(), ())
    }

    tracking_core::store_conformance!(empty_store);
}

mod arc_dyn_store {
    use std::sync::Arc;

    use tracking_core::Store;

    use super::MemoryStore;

    async fn empty_store() -> (Arc<dyn Store>, ()) {
        (Arc::new(MemoryStore::new()), ())
    }

    tracking_core::store_conformance!(empty_store);
}

mod box_dyn_store {
    use tracking_core::Store;

    use super::MemoryStore;

    async fn empty_store() -> (Box<dyn Store>, ()) {
        (Box::new(MemoryStore::new()), ())
    }

    tracking_core::store_conformance!(empty_store);
}
