//! Where a receiver wants to begin: the filter `apache.org:selector-filter:string` of its source.

use super::amqp::{Failure, Value, condition};

/// The filter's name, and its descriptor where that is a symbol.
const NAME: &str = "apache.org:selector-filter:string";
/// Its descriptor where that is a number.
const CODE: u64 = 0x0000_468c_0000_0004;

/// The year 1 in milliseconds since 1970: what .NET calls the beginning, and so does the service for "never".
pub(crate) const BEGINNING: i64 = -62_135_596_800_000;

/// A position in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Selector {
    /// Behind the newest event.
    Latest,
    Offset {
        value: i64,
        inclusive: bool,
    },
    Sequence {
        value: i64,
        inclusive: bool,
    },
    /// Milliseconds since 1970.
    Enqueued {
        value: i64,
        inclusive: bool,
    },
}

impl Selector {
    /// The selector's text in a source; `None` without one: from the beginning.
    pub(crate) fn of(source: &Value) -> Result<Option<String>, Failure> {
        let Value::Described(descriptor, fields) = source else {
            return Err(Failure::new(condition::INVALID_FIELD, "the source is no terminus"));
        };
        let Value::List(fields) = &**fields else {
            return Err(Failure::new(condition::DECODE_ERROR, "the source is not a list"));
        };
        if !matches!(&**descriptor, Value::Ulong(0x28)) && descriptor.text() != Some("amqp:source:list") {
            return Err(Failure::new(condition::INVALID_FIELD, "the source has the descriptor of something else"));
        }
        let filters = match fields.get(7) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Map(filters)) => filters,
            Some(_) => return Err(Failure::new(condition::DECODE_ERROR, "the filter of a source is not a map")),
        };
        let selector = filters.iter().map(|(_, filter)| filter).find_map(|filter| match filter {
            Value::Described(descriptor, text) if **descriptor == Value::Ulong(CODE) || descriptor.text() == Some(NAME) => {
                Some(text.text().map(str::to_string))
            }
            _ => None,
        });
        match selector {
            // Filters that are not known are left out of the answer, and do nothing (section 3.5.3).
            None => Ok(None),
            Some(None) => Err(Failure::new(condition::DECODE_ERROR, "the selector is no text")),
            Some(text) => Ok(text),
        }
    }

    /// Reads `amqp.annotation.x-opt-<what> > '<value>'`, with `>=` as well.
    pub(crate) fn read(text: &str) -> Result<Self, Failure> {
        let wrong = || Failure::new(condition::INVALID_FIELD, format!("The filter expression '{text}' is not supported."));
        let (annotation, rest) = text.trim().split_once('>').ok_or_else(wrong)?;
        let (inclusive, rest) = rest.strip_prefix('=').map_or((false, rest), |rest| (true, rest));
        let quoted = rest.trim();
        let value = quoted.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).ok_or_else(wrong)?;
        let number = || value.parse::<i64>().map_err(|_| wrong());
        match annotation.trim().strip_prefix("amqp.annotation.").ok_or_else(wrong)? {
            "x-opt-offset" if value == "@latest" => Ok(Selector::Latest),
            "x-opt-offset" => Ok(Selector::Offset { value: number()?, inclusive }),
            "x-opt-sequence-number" => Ok(Selector::Sequence { value: number()?, inclusive }),
            "x-opt-enqueued-time" | "x-opt-enqueuedtimeutc" => Ok(Selector::Enqueued { value: number()?, inclusive }),
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_what_is_none() {
        let read = |text: &str| Selector::read(text).ok();
        assert_eq!(read("amqp.annotation.x-opt-offset > '@latest'"), Some(Selector::Latest));
        assert_eq!(
            read("amqp.annotation.x-opt-sequence-number >= '17'"),
            Some(Selector::Sequence { value: 17, inclusive: true })
        );
        assert_eq!(read("amqp.annotation.x-opt-offset>'17'"), Some(Selector::Offset { value: 17, inclusive: false }));
        for text in [
            "",
            "amqp.annotation.x-opt-offset = '1'",
            "amqp.annotation.x-opt-offset > 1",
            "amqp.annotation.x-opt-offset > 'one'",
            "amqp.annotation.x-opt-sequence-number > '@latest'",
            "amqp.annotation.x-opt-partition-key > '1'",
            "x-opt-offset > '1'",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn the_filter_of_a_source() {
        let source = |filter: Value| {
            let mut fields = vec![Value::Null; 11];
            fields[7] = filter;
            Selector::of(&Value::composite(0x28, fields))
        };
        let described = |descriptor: Value, value: Value| Value::Described(descriptor.into(), value.into());
        let map = |value: Value| Value::Map(vec![(Value::symbol(NAME), value)]);
        let text = "amqp.annotation.x-opt-offset > '1'";
        assert_eq!(source(Value::Null), Ok(None));
        assert_eq!(source(map(described(Value::Ulong(CODE), Value::string(text)))), Ok(Some(text.to_string())));
        assert_eq!(source(map(described(Value::symbol(NAME), Value::string(text)))), Ok(Some(text.to_string())));
        assert_eq!(source(map(described(Value::symbol("other"), Value::string(text)))), Ok(None));
        assert!(source(map(described(Value::Ulong(CODE), Value::Uint(1)))).is_err());
        assert!(source(Value::string(text)).is_err());
        assert!(Selector::of(&Value::Null).is_err());
    }
}
