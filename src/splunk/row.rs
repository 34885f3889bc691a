//! A row of search results: named fields, each with one value or several.

use std::sync::Arc;

/// In front of a field's name: the column that holds its values when there are several.
pub(super) const MULTIVALUE: &str = "__mv_";

/// One row. Rows of one file share their field names, and a row's values lie in one piece of memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    names: Arc<[String]>,
    text: String,
    /// Where each cell ends in the text.
    ends: Vec<usize>,
    /// The name of a cell that was cut short.
    cut: Option<String>,
    /// What is wrong with the row as a whole.
    fault: Option<String>,
}

impl Row {
    /// A row without cells; names without a cell are absent fields.
    pub(super) fn new(names: Arc<[String]>) -> Self {
        Self { names, text: String::new(), ends: Vec::new(), cut: None, fault: None }
    }

    /// A row that cannot be read, for that reason.
    pub(super) fn bad(fault: String) -> Self {
        Self { fault: Some(fault), ..Self::new(Arc::default()) }
    }

    /// Why the row cannot be read: it has no fields then, and nothing can be done for it.
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// Adds the cell of the next name. Results are UTF-8; one odd byte in one field must not cost the row.
    pub(super) fn push(&mut self, cell: &[u8], cut: bool) {
        let name = Arc::clone(&self.names);
        if let Some(name) = name.get(self.ends.len()).filter(|_| cut) {
            self.mark_cut(name);
        }
        self.text.push_str(&String::from_utf8_lossy(cell));
        self.ends.push(self.text.len());
    }

    /// Notes that a field is longer than a row may hold.
    pub(super) fn mark_cut(&mut self, name: &str) {
        self.cut = Some(name.strip_prefix(MULTIVALUE).unwrap_or(name).to_owned());
    }

    /// A row of a field and its values each.
    pub fn of<'a>(fields: impl IntoIterator<Item = (&'a str, Vec<&'a str>)>) -> Self {
        let (mut names, mut cells) = (Vec::new(), Vec::new());
        for (name, values) in fields {
            names.push(name.to_owned());
            cells.push(values.join("\n"));
            if values.len() > 1 {
                names.push(format!("{MULTIVALUE}{name}"));
                cells.push(encode(&values));
            }
        }
        let mut row = Self::new(names.into());
        cells.iter().for_each(|cell| row.push(cell.as_bytes(), false));
        row
    }

    /// The field that is longer than a row may hold, so that its text is not whole: nothing can be done for such a row.
    pub fn cut(&self) -> Option<&str> {
        self.cut.as_deref()
    }

    /// A field's text as Splunk shows it, several values joined by line feeds. `None` when it is absent or blank.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.cell(name).filter(|text| !text.trim().is_empty())
    }

    /// A field's values; none when it is absent or blank. Where one value is expected, several are a finding to report,
    /// not to choose from.
    pub fn values(&self, name: &str) -> Vec<String> {
        let several = self.cell(&format!("{MULTIVALUE}{name}")).and_then(decode);
        let values = several.unwrap_or_else(|| self.get(name).into_iter().map(str::to_owned).collect());
        values.into_iter().filter(|value| !value.trim().is_empty()).collect()
    }

    /// The names of its fields, in the order of the results.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str).filter(|name| !name.starts_with(MULTIVALUE))
    }

    /// What its values take in memory, in bytes.
    pub fn size(&self) -> usize {
        self.text.len() + self.ends.len() * size_of::<usize>()
    }

    fn cell(&self, name: &str) -> Option<&str> {
        let at = self.names.iter().position(|known| known == name)?;
        let begin = if at == 0 { 0 } else { *self.ends.get(at - 1)? };
        self.text.get(begin..*self.ends.get(at)?)
    }
}

/// Splunk's spelling of several values: `$a$;$b$`, a dollar sign inside doubled.
fn encode(values: &[&str]) -> String {
    let quoted: Vec<String> = values.iter().map(|value| format!("${}$", value.replace('$', "$$"))).collect();
    quoted.join(";")
}

/// The values of that spelling; `None` when it is empty or something else.
fn decode(text: &str) -> Option<Vec<String>> {
    let mut values = Vec::new();
    let mut rest = text.strip_prefix('$')?;
    loop {
        let mut value = String::new();
        loop {
            let (before, after) = rest.split_once('$')?;
            value.push_str(before);
            rest = after;
            match rest.strip_prefix('$') {
                Some(after) => {
                    value.push('$');
                    rest = after;
                }
                None => break,
            }
        }
        values.push(value);
        if rest.is_empty() {
            return Some(values);
        }
        rest = rest.strip_prefix(";$")?;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn splunks_spelling_of_several_values() {
        for (text, values) in [
            ("$a$;$b$", Some(vec!["a", "b"])),
            ("$a$", Some(vec!["a"])),
            ("$$$$;$b;$$;$$c$", Some(vec!["$", "b;$;$c"])),
            ("$$;$x$", Some(vec!["", "x"])),
            ("$a\nb$;$$", Some(vec!["a\nb", ""])),
            ("", None),
            ("plain", None),
            ("$open", None),
            ("$$$", None),
            ("$a$b$", None),
            ("$a$;", None),
        ] {
            let expected = values.map(|values| values.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(decode(text), expected, "{text}");
        }
    }

    #[test]
    fn fields() {
        let row = Row::of([("id", vec!["7"]), ("blank", vec![" "]), ("none", vec![]), ("many", vec!["a", "", "b$c"])]);
        assert_eq!(row.get("id"), Some("7"));
        assert_eq!(row.values("id"), ["7"]);
        assert_eq!((row.get("blank"), row.values("blank").len()), (None, 0));
        assert_eq!((row.get("none"), row.values("none").len()), (None, 0));
        assert_eq!((row.get("absent"), row.values("absent").len()), (None, 0));
        assert_eq!(row.get("many"), Some("a\n\nb$c"));
        assert_eq!(row.values("many"), ["a", "b$c"]);
        assert_eq!(row.names().collect::<Vec<_>>(), ["id", "blank", "none", "many"]);
    }

    proptest! {
        #[test]
        fn values_come_back(values in prop::collection::vec("[a-c$;\\n ]{1,6}", 1..5)) {
            let borrowed: Vec<&str> = values.iter().map(String::as_str).collect();
            prop_assert_eq!(decode(&encode(&borrowed)), Some(values));
        }
    }
}
