//! The guide. Each file is a module here, so that its code blocks are compiled and run as tests.

macro_rules! guide {
    ($($module:ident = $file:literal)+) => {$(
        #[doc = include_str!($file)]
        pub mod $module {}
    )+};
}

guide! {
    readme = "../README.md"
    embedding = "embedding.md"
    stores = "stores.md"
    http = "http.md"
}
