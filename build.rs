//! Tells the program which target it is built for, and with which features; cargo tells only build scripts.

#[allow(clippy::print_stdout, reason = "it is how a build script speaks to cargo")]
fn main() {
    println!("cargo::rustc-env=TARGET={}", std::env::var("TARGET").unwrap_or_default());
    let streaming = if std::env::var_os("CARGO_FEATURE_STREAMING").is_some() { " streaming" } else { "" };
    println!("cargo::rustc-env=STREAMING={streaming}");
    println!("cargo::rerun-if-changed=build.rs");
}
