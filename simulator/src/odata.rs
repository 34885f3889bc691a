//! The query options of a list and the page they ask for. Each API has its own dialect; nothing here knows which.

use crate::chance::mix;
use crate::filter::{Filter, Property, Refusal};
use crate::model::{Links, Order, OrderBy, Ties, World};
use crate::time::Time;
use crate::wire::Request;

/// What an API takes.
pub(crate) struct Dialect {
    /// The type's name in messages.
    pub(crate) type_name: &'static str,
    /// Properties that may stand in `$filter`.
    pub(crate) properties: &'static [Property],
    /// Options that are known.
    pub(crate) options: &'static [&'static str],
    /// What `$expand` takes.
    pub(crate) expand: &'static str,
    /// What `$orderby` takes.
    pub(crate) orderby: &'static [&'static str],
    /// Rows in a page when `$top` is absent.
    pub(crate) page: usize,
}

/// The options of one request.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) filter: Option<Filter>,
    pub(crate) top: Option<usize>,
    pub(crate) skip: usize,
    pub(crate) orderby: Option<(String, bool)>,
    pub(crate) expand: bool,
    pub(crate) count: bool,
    pub(crate) select: Option<Vec<String>>,
}

/// Reads the options of a request.
pub(crate) fn options(request: &Request, dialect: &Dialect) -> Result<Options, Refusal> {
    let mut options = Options::default();
    for (name, value) in request.query_pairs() {
        if !name.starts_with('$') {
            continue;
        }
        if !dialect.options.contains(&name.as_str()) {
            return Err(Refusal(format!("The query parameter '{name}' is not supported.")));
        }
        let number = || {
            value.parse::<usize>().map_err(|_| {
                Refusal(format!("Invalid value '{value}' for {name} query option found. The {name} query option requires a non-negative integer value."))
            })
        };
        match name.as_str() {
            "$filter" => options.filter = Some(Filter::parse(&value, dialect.properties, dialect.type_name)?),
            "$top" => options.top = Some(number()?),
            "$skip" => options.skip = number()?,
            "$count" => options.count = value == "true",
            "$select" => options.select = Some(value.split(',').map(|name| name.trim().to_string()).collect()),
            "$expand" if value == dialect.expand => options.expand = true,
            "$expand" => {
                return Err(Refusal(format!(
                    "Parsing OData Select and Expand failed: Could not find a property named '{value}' on type '{}'.",
                    dialect.type_name
                )));
            }
            "$orderby" => {
                let mut words = value.split_whitespace();
                let (property, direction) = (words.next().unwrap_or_default(), words.next().unwrap_or("asc"));
                if words.next().is_some() || !["asc", "desc"].contains(&direction) {
                    return Err(Refusal(format!("Syntax error at position {} in '{value}'.", value.len())));
                }
                if !dialect.orderby.contains(&property) {
                    return Err(Refusal(format!(
                        "Could not find a property named '{property}' on type '{}'.",
                        dialect.type_name
                    )));
                }
                options.orderby = Some((property.to_string(), direction == "asc"));
            }
            _ => {}
        }
    }
    Ok(options)
}

/// Whether Graph refuses this request's `$orderby`, which it does for some and not for others.
pub(crate) fn orderby_refused(world: &mut World, options: &Options) -> bool {
    if options.orderby.is_none() {
        return false;
    }
    match world.behaviour.orderby {
        OrderBy::Accepted | OrderBy::Ignored => false,
        OrderBy::Refused => true,
        OrderBy::RefusedEvery(every) => {
            world.orderby_seen += 1;
            (world.orderby_seen - 1).is_multiple_of(every.max(1))
        }
    }
}

/// A row in the making: what it is ordered by, and which it is.
pub(crate) struct Row<K> {
    pub(crate) updated: Time,
    pub(crate) created: Time,
    pub(crate) key: K,
    pub(crate) id_hash: u64,
}

/// One page: the rows, how many there were in all, and where the next page begins.
pub(crate) struct Page<K> {
    pub(crate) keys: Vec<K>,
    pub(crate) total: usize,
    pub(crate) next: Option<usize>,
}

/// Orders rows as the service would and cuts the page that was asked for.
pub(crate) fn page<K>(world: &World, options: &Options, limit: usize, mut rows: Vec<Row<K>>) -> Page<K> {
    let behaviour = &world.behaviour;
    let shuffle = world.serial();
    let tie = |row: &Row<K>| match behaviour.ties {
        Ties::Stable => row.id_hash,
        Ties::Shuffled => mix(row.id_hash ^ shuffle),
    };
    let asked = options.orderby.as_ref().filter(|_| behaviour.orderby != OrderBy::Ignored);
    match (asked, behaviour.order) {
        (Some((property, ascending)), _) => {
            let created = property.starts_with("created");
            rows.sort_by_cached_key(|row| (if created { row.created } else { row.updated }, tie(row)));
            if !ascending {
                rows.reverse();
            }
        }
        (None, Order::NewestFirst) => {
            rows.sort_by_cached_key(|row| (row.updated, tie(row)));
            rows.reverse();
        }
        (None, Order::CreatedFirst) => {
            rows.sort_by_cached_key(|row| (row.created, tie(row)));
            rows.reverse();
        }
        (None, Order::OldestFirst) => rows.sort_by_cached_key(|row| (row.updated, tie(row))),
        (None, Order::Shuffled) => rows.sort_by_cached_key(|row| mix(row.id_hash ^ shuffle)),
    }
    let total = rows.len();
    let take = limit.min(behaviour.short_pages.unwrap_or(usize::MAX));
    let keys: Vec<_> = rows.into_iter().skip(options.skip).take(take).map(|row| row.key).collect();
    let end = options.skip + keys.len();
    Page { next: (end < total).then_some(end), keys, total }
}

/// A number that follows from an id, for orders that are not the update time's.
pub(crate) fn id_hash(id: &str) -> u64 {
    id.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| mix(hash ^ u64::from(byte)))
}

/// The link to the page that begins at `skip`: the same request with another `$skip`, on the host the service names.
pub(crate) fn next_link(links: Links, canonical: &str, request: &Request, skip: usize) -> Option<String> {
    let host = match links {
        Links::Missing => return None,
        Links::Own if !request.origin.is_empty() => request.origin.as_str(),
        Links::Own | Links::Canonical => canonical,
    };
    let others =
        request.query.split('&').filter(|part| !part.is_empty() && !part.starts_with("$skip=") && !part.starts_with("%24skip="));
    let query: Vec<_> = others.map(str::to_string).chain([format!("$skip={skip}")]).collect();
    Some(format!("{host}{}?{}", request.path, query.join("&")))
}
