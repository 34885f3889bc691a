//! What reading alone costs: the client library of the program, with the same gzip and TLS, reading pages that are chained by
//! number and doing nothing with them. `./build.sh bench` shows it as the bound that no reader over this library can pass.
//!
//! Arguments: the base of the pages, how many, the CA bundle. Prints how many bytes they had, inflated.

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::Read;
use std::sync::Arc;

use ureq::Agent;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [base, pages, bundle] = &arguments[..] else { return Err("usage: download BASE PAGES CA_BUNDLE".into()) };
    let pem = std::fs::read(bundle)?;
    let certificates = parse_pem(&pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    let roots = RootCerts::Specific(Arc::new(certificates.collect()));
    let tls = TlsConfig::builder().root_certs(roots).build();
    let agent: Agent = Agent::config_builder().tls_config(tls).proxy(None).build().new_agent();
    let mut block = vec![0; 128 * 1024];
    let mut total = 0;
    for page in 0..pages.parse::<u32>()? {
        let answer = agent.get(format!("{base}/{page}")).call()?;
        let mut body = answer.into_body().into_with_config().limit(u64::MAX).reader();
        loop {
            match body.read(&mut block)? {
                0 => break,
                read => total += read,
            }
        }
    }
    println!("{total}");
    Ok(())
}
