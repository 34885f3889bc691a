//! Tells the program which target it is built for; cargo tells only build scripts.

#[allow(clippy::print_stdout, reason = "it is how a build script speaks to cargo")]
fn main() {
    println!("cargo::rustc-env=TARGET={}", std::env::var("TARGET").unwrap_or_default());
    println!("cargo::rerun-if-changed=build.rs");
}
