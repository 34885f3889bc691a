//! Names of containers and blobs, as far as they become part of a URL. They come from lists, and whoever answers may list anything.

/// Whether a container can have this name: 3 to 63 lower-case letters, digits and single dashes, beginning and ending with no dash.
/// The service's own containers (`$logs`, `$root`, `$web`) are none that this program reads.
pub fn is_container_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (3..=63).contains(&name.len())
        && name.bytes().all(fits)
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--")
}

/// Whether a URL carries this name of a blob as it is. A segment of dots is taken out of a path by whoever handles it on the way:
/// another blob would be read in its place.
pub fn is_blob_name(name: &str) -> bool {
    !name.is_empty() && !name.split(['/', '\\']).any(|segment| matches!(segment, "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_containers() {
        let long = "a".repeat(64);
        for name in ["insights-logs-advancedhunting-alertinfo", "a1-", "abc", "0-0"] {
            assert_eq!(is_container_name(name), !name.ends_with('-'), "{name}");
        }
        for name in [
            "", "ab", "a?b", "a#b", "..", "a..b", "a%2fb", "Abc", "$logs", "a/b", "a b", "a--b", "-ab", "a_b", "a\nb", "äbc",
            &long,
        ] {
            assert!(!is_container_name(name), "{name}");
        }
    }

    #[test]
    fn names_of_blobs() {
        for name in ["tenantId=t/y=2026/PT1H.json", "a b#?%.json", "...", "a/..b", "ü", "a//b", "/"] {
            assert!(is_blob_name(name), "{name}");
        }
        for name in ["", "..", "a/../b", "./a", "a/.", "a\\..\\b"] {
            assert!(!is_blob_name(name), "{name}");
        }
    }
}
