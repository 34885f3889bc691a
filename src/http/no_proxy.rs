//! Who is reached without the proxy: every form of the list that other programs take, and a word for what is none.

use std::net::IpAddr;

use crate::masking::admin_text;

/// A list of exceptions, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoProxy {
    entries: Vec<Entry>,
    faults: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    hosts: Hosts,
    /// `None`: any.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    /// `*`
    All,
    /// `<local>`, as Windows writes it: names without a dot.
    Plain,
    /// One name.
    Name(String),
    /// `.example.com`, `*.example.com`: every name that ends so.
    Suffix(String),
    /// `10.1.*`, `host*`: every name or address that begins so.
    Prefix(String),
    /// One address, or a network with the bits of its prefix. Addresses in URLs alone: names are not looked up for it.
    Network(IpAddr, u8),
}

impl NoProxy {
    /// Reads a list whose entries are parted by commas, semicolons or white space. What is no entry is kept as a fault.
    pub fn read(text: &str) -> Self {
        let mut list = Self::default();
        let parts = text.split(|c: char| c == ',' || c == ';' || c.is_whitespace() || c == '\u{feff}');
        for part in parts.filter(|part| !part.is_empty()) {
            match entry(part) {
                Some(entry) => list.entries.push(entry),
                None => list.faults.push(admin_text(part)),
            }
        }
        list
    }

    /// What was no entry, as one line that says what would be; `None` when all were understood.
    pub fn fault(&self) -> Option<String> {
        let first = self.faults.first()?;
        let more = match self.faults.len() {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        Some(format!(
            "no_proxy: `{first}`{more} names no host and has no effect: write host, .suffix, address, network/bits, each with :port \
             behind it if it counts for that port alone, or * for all, parted by commas"
        ))
    }

    /// Whether a host is reached without the proxy. IPv6 addresses may stand in brackets.
    pub fn covers(&self, host: &str, port: u16) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
        let ip = address(&host);
        let names = |hosts: &Hosts| match hosts {
            Hosts::All => true,
            Hosts::Plain => ip.is_none() && !host.contains('.'),
            Hosts::Name(name) => host == *name,
            Hosts::Suffix(suffix) => ip.is_none() && host.ends_with(suffix),
            Hosts::Prefix(prefix) => host.starts_with(prefix),
            Hosts::Network(network, bits) => ip.is_some_and(|ip| is_within(ip, *network, *bits)),
        };
        self.entries.iter().any(|entry| entry.port.is_none_or(|own| own == port) && names(&entry.hosts))
    }
}

fn entry(text: &str) -> Option<Entry> {
    let text = text.to_ascii_lowercase();
    if text == "<local>" {
        return Some(Entry { hosts: Hosts::Plain, port: None });
    }
    if let Some((network, bits)) = text.split_once('/') {
        let network = address(network.trim_start_matches('[').trim_end_matches(']'))?;
        let bits = bits.parse().ok().filter(|bits| *bits <= if network.is_ipv4() { 32 } else { 128 })?;
        return Some(Entry { hosts: Hosts::Network(network, bits), port: None });
    }
    let (host, port) = parted(&text)?;
    if let Some(ip) = address(host) {
        let bits = if ip.is_ipv4() { 32 } else { 128 };
        return Some(Entry { hosts: Hosts::Network(ip, bits), port });
    }
    let name = |text: &str| {
        let letters = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        (!text.is_empty() && text.chars().all(letters)).then(|| text.to_owned())
    };
    let hosts = match host {
        "*" => Hosts::All,
        _ if host.starts_with("*.") || host.starts_with('.') => {
            let suffix = name(host.trim_start_matches('*').trim_end_matches('.'))?;
            Hosts::Suffix(Some(suffix).filter(|suffix| !suffix.starts_with(".."))?)
        }
        // `*example.com`: also what ends with it in the middle of a label.
        _ if host.starts_with('*') => Hosts::Suffix(name(&host[1..])?),
        _ => match host.strip_suffix('*') {
            Some(prefix) => Hosts::Prefix(name(prefix)?),
            // `10.1.`, an old way to write a network.
            None if host.ends_with('.') && host.bytes().all(|b| b.is_ascii_digit() || b == b'.') => Hosts::Prefix(name(host)?),
            None => Hosts::Name(name(host.trim_end_matches('.'))?),
        },
    };
    Some(Entry { hosts, port })
}

/// A host and its port, as in `host:443`, `[::1]:443`, `::1`.
fn parted(text: &str) -> Option<(&str, Option<u16>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        return match port.strip_prefix(':') {
            Some(port) => Some((host, Some(port.parse().ok()?))),
            None => port.is_empty().then_some((host, None)),
        };
    }
    if address(text).is_some() {
        return Some((text, None));
    }
    match text.split_once(':') {
        Some((host, port)) => Some((host, Some(port.parse().ok()?))),
        None => Some((text, None)),
    }
}

/// An address; that of IPv4 within one of IPv6 is the former, and the zone behind a `%` does not count.
fn address(text: &str) -> Option<IpAddr> {
    let ip: IpAddr = text.split('%').next()?.parse().ok()?;
    Some(ip.to_canonical())
}

fn is_within(ip: IpAddr, network: IpAddr, bits: u8) -> bool {
    let same = |a: u128, b: u128, width: u32| bits == 0 || (a ^ b) >> (width - u32::from(bits)) == 0;
    match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => same(u32::from(ip).into(), u32::from(network).into(), 32),
        (IpAddr::V6(ip), IpAddr::V6(network)) => same(ip.into(), network.into(), 128),
        _ => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_an_exception() {
        type Hosts<'a> = &'a [(&'a str, u16)];
        let table: [(&str, Hosts<'_>, Hosts<'_>); 24] = [
            ("internal.example", &[("internal.example", 443), ("INTERNAL.example.", 1)], &[("x.internal.example", 443)]),
            ("Internal.Example.", &[("internal.example", 443)], &[("internal.example.org", 443)]),
            (".corp.example", &[("a.corp.example", 1), ("b.a.corp.example", 1)], &[("corp.example", 1), ("xcorp.example", 1)]),
            ("*.corp.example", &[("a.corp.example", 1)], &[("corp.example", 1)]),
            ("*corp.example", &[("corp.example", 1), ("xcorp.example", 1)], &[("corp.example.org", 1)]),
            (".corp.example.", &[("a.corp.example", 1)], &[("corp.example", 1)]),
            ("*", &[("any.example", 1), ("::1", 1)], &[]),
            ("a.example:443", &[("a.example", 443)], &[("a.example", 8443), ("b.example", 443)]),
            (".a.example:443", &[("x.a.example", 443)], &[("x.a.example", 80)]),
            ("*:443", &[("x.example", 443)], &[("x.example", 80)]),
            (
                "a.example;b.example  c.example\n,d.example",
                &[("a.example", 1), ("b.example", 1), ("c.example", 1), ("d.example", 1)],
                &[],
            ),
            ("10.0.0.0/8", &[("10.255.0.1", 443)], &[("11.0.0.1", 443), ("10.example", 443)]),
            ("10.1.*", &[("10.1.2.3", 443)], &[("10.10.2.3", 443)]),
            ("10.1.", &[("10.1.2.3", 443)], &[("10.10.2.3", 443)]),
            ("0.0.0.0/0", &[("203.0.113.9", 443)], &[("2001:db8::1", 443), ("a.example", 443)]),
            ("192.0.2.1", &[("192.0.2.1", 443), ("::ffff:192.0.2.1", 443)], &[("192.0.2.10", 443)]),
            ("192.0.2.1:8443", &[("192.0.2.1", 8443)], &[("192.0.2.1", 443)]),
            ("2001:db8::1", &[("[2001:DB8:0::1]", 443)], &[("[2001:db8::2]", 443)]),
            ("[2001:db8::1]", &[("2001:db8::1", 443)], &[("2001:db8::2", 443)]),
            ("[2001:db8::1]:443", &[("2001:db8::1", 443)], &[("2001:db8::1", 444)]),
            ("2001:db8::/32", &[("2001:db8:1::1", 443)], &[("2001:db9::1", 443)]),
            ("::/0", &[("2001:db8:1::1", 443)], &[("192.0.2.1", 443)]),
            ("<local>", &[("proxyless", 443)], &[("a.example", 443), ("192.0.2.1", 443)]),
            ("", &[], &[("a.example", 443)]),
        ];
        for (text, direct, proxied) in table {
            let list = NoProxy::read(text);
            assert_eq!(list.fault(), None, "{text}");
            for (host, port) in direct {
                assert!(list.covers(host, *port), "{text}: {host}:{port}");
            }
            for (host, port) in proxied {
                assert!(!list.covers(host, *port), "{text}: {host}:{port}");
            }
        }
    }

    #[test]
    fn what_is_no_exception_is_said_and_hurts_no_other() {
        for text in [
            "https://a.example",
            "a.*.example",
            "10.0.0.0/33",
            "10.0.0/8",
            "a.example:https",
            "a.example:70000",
            "[::1",
            "~",
            "2001:db8:::1",
        ] {
            let list = NoProxy::read(&format!("b.example, {text}"));
            let fault = list.fault().unwrap();
            assert!(fault.starts_with("no_proxy: `") && fault.contains("names no host and has no effect: write host"), "{fault}");
            assert!(list.covers("b.example", 443) && !list.covers("a.example", 443), "{text}");
        }
        let many = NoProxy::read("~ ! ?").fault().unwrap();
        assert!(many.contains("` and 2 more names no host"), "{many}");
        let secret = NoProxy::read("svc:s3cret@proxy.example:3128").fault().unwrap();
        assert!(!secret.contains("s3cret"), "{secret}");
    }
}
