//! What splunkd hands a modular input on stdin: where splunkd is, a session key, and the stanza.
//!
//! `<input>` to run, `<items>` to validate. Both are read only up to the end tag of the root: when it validates, splunkd
//! may leave the pipe open behind it, and waiting for its end would wait for ever. No error repeats what was read, save
//! for element and stanza names.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

mod document;
mod error;

use document::Document;
pub use error::DefinitionError;

use crate::secret::Secret;

/// The most a document may hold, in bytes. Real ones hold a few thousand.
const LIMIT: u64 = 4 << 20;

/// Which document is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// `<input>`: stanzas to run, under `<configuration>`.
    Input,
    /// `<items>`: one item to validate.
    Items,
}

impl Root {
    fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Items => "items",
        }
    }
}

/// One document.
#[derive(Clone, Debug)]
pub struct Definition {
    /// splunkd's name for this machine; may be empty.
    pub server_host: String,
    /// Where splunkd listens, as it gave it.
    pub server_uri: String,
    /// Opens splunkd's REST for this run.
    pub session_key: Secret,
    /// The folder for this scheme's positions. It may not exist yet.
    pub checkpoint_dir: PathBuf,
    /// The inputs: one when each has a process of its own, none when splunkd has none to run.
    pub stanzas: Vec<Stanza>,
}

/// One input, with the values of `[default]` and `[scheme]` merged in by splunkd.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stanza {
    /// The bare name: what is after `scheme://`.
    pub name: String,
    /// The app whose configuration holds it. Missing when it is only being validated, and from some tools.
    pub app: Option<String>,
    /// Every parameter as it came; more than one value only for lists.
    pub params: BTreeMap<String, Vec<String>>,
}

impl Stanza {
    /// A parameter's text, trimmed. `None` when it is absent or blank: a form sends what is not filled in as empty.
    /// Of a list, the first value that is not blank.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.get(name)?.iter().map(|value| value.trim()).find(|value| !value.is_empty())
    }

    /// The index for events; `None` leaves the choice to Splunk, which spells that `default`.
    pub fn index(&self) -> Option<&str> {
        self.param("index").filter(|index| *index != "default")
    }

    /// The host for events; `None` leaves it to Splunk, which spells that `$decideOnStartup`.
    pub fn host(&self) -> Option<&str> {
        self.param("host").filter(|host| *host != "$decideOnStartup")
    }
}

/// Reads one document from `reader`, in UTF-8 or UTF-16, and not one read beyond its end tag.
///
/// # Errors
/// See [`DefinitionError`].
pub fn read(reader: impl Read, root: Root) -> Result<Definition, DefinitionError> {
    let mut document = Document::new(reader, root);
    document.open()?;
    document.members()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;
    use std::thread;

    use super::super::fixtures;
    use super::*;

    const HEAD: &str = "<server_uri>https://127.0.0.1:8089</server_uri><session_key>K3Y</session_key>\
                        <checkpoint_dir>/c</checkpoint_dir>";

    fn input(configuration: &str) -> String {
        format!("<input>{HEAD}<configuration>{configuration}</configuration></input>")
    }

    fn stanza(document: &str) -> Stanza {
        read(document.as_bytes(), Root::Input).unwrap().stanzas.remove(0)
    }

    /// Gives one byte at a time and must not be asked again after the last.
    struct Trickle<'a>(&'a [u8]);

    impl Read for Trickle<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let (first, rest) = self.0.split_first().expect("asked for more than the document");
            into[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    /// A message without the number of the byte.
    fn unplaced(message: &str) -> String {
        message.split_once("near byte ").map_or_else(
            || message.to_owned(),
            |(before, after)| format!("{before}near byte N{}", after.trim_start_matches(|c: char| c.is_ascii_digit())),
        )
    }

    fn list(values: &[&str]) -> Vec<String> {
        values.iter().map(|&value| value.to_owned()).collect()
    }

    #[test]
    fn the_documents_of_splunks_own_library() {
        let Some(none) = fixtures::modinput("splunk-sdk-python/conf_with_0_inputs.xml") else { return };
        let definition = read(none.as_slice(), Root::Input).unwrap();
        assert!(definition.stanzas.is_empty());
        assert_eq!(definition.server_host, "tiny");
        assert_eq!(definition.server_uri, "https://127.0.0.1:8089");
        assert_eq!(definition.session_key.expose(), "123102983109283019283");
        assert_eq!(definition.checkpoint_dir, PathBuf::from("/some/dir"));

        let two = fixtures::modinput("splunk-sdk-python/conf_with_2_inputs.xml").unwrap();
        let [first, second] = read(Trickle(&two), Root::Input).unwrap().stanzas.try_into().unwrap();
        assert_eq!((first.name.as_str(), first.app.as_deref()), ("aaa", Some("search")));
        assert_eq!(first.param("param1"), Some("value1"));
        assert_eq!(first.index(), None);
        assert_eq!((second.name.as_str(), second.app.as_deref()), ("bbb", Some("my_app")));
        assert_eq!(second.params["multiValue"], list(&["value1", "value2"]));
        assert_eq!(second.params["multiValue2"], list(&["value3", "value4"]));
        assert_eq!(second.params.len(), 6);

        let items = fixtures::modinput("splunk-sdk-python/validation.xml").unwrap();
        let [item] = read(Trickle(&items), Root::Items).unwrap().stanzas.try_into().unwrap();
        assert_eq!((item.name.as_str(), item.app), ("aaa", None));
        assert_eq!(item.params["multiValue2"], list(&["value3", "value4"]));

        let invalid = fixtures::modinput("splunk-sdk-python/conf_with_invalid_inputs.xml").unwrap();
        let message = read(invalid.as_slice(), Root::Input).unwrap_err().to_string();
        assert!(message.starts_with("<editor> near byte "), "{message}");
        assert!(message.ends_with(" of standard input, in stanza aaa, where <param> or <param_list> was expected"), "{message}");
    }

    #[test]
    fn what_a_real_splunkd_wrote() {
        for (file, params) in [("Splunk_TA_otel", 13), ("install", 3), ("uninstall", 3)] {
            let Some(bytes) = fixtures::modinput(&format!("splunk-otel-collector/{file}.inputs.xml")) else { return };
            let definition = read(Trickle(bytes.trim_ascii_end()), Root::Input).unwrap();
            let [stanza] = definition.stanzas.try_into().unwrap();
            assert_eq!(definition.session_key.expose(), "_fake_session_key");
            assert!(stanza.params.len() >= params, "{file}: {stanza:?}");
            assert_eq!(stanza.host(), None, "$decideOnStartup is no host");
        }
        let bytes = fixtures::modinput("splunk-otel-collector/Splunk_TA_otel.inputs.xml").unwrap();
        let definition = read(bytes.as_slice(), Root::Input).unwrap();
        let dir = r"C:\Program Files\Splunk\var\lib\splunk\modinputs\Splunk_TA_otel";
        assert_eq!(definition.checkpoint_dir, PathBuf::from(dir));
        assert_eq!(definition.stanzas[0].name, "Splunk_TA_otel");
        assert_eq!(definition.stanzas[0].index(), Some("_internal"));
    }

    #[test]
    fn values_as_they_may_come() {
        let found = stanza(&input(
            r#"<stanza name="x://a&amp;b"><param name="empty"/><param name="blank">  </param><param name="text"> a &lt;b&gt; &#233;<![CDATA[<&]]><!-- no --> </param>
               <param_list name="none"/><param_list name="some"><value/><value>v</value></param_list><param name="index">main</param>
               <param name="host">h1</param></stanza>"#,
        ));
        assert_eq!((found.name.as_str(), found.app.as_deref()), ("a&b", None));
        for (name, value) in
            [("empty", None), ("blank", None), ("absent", None), ("none", None), ("some", Some("v")), ("text", Some("a <b> é<&"))]
        {
            assert_eq!(found.param(name), value, "{name}");
        }
        assert_eq!(found.params["text"], list(&[" a <b> é<& "]));
        assert_eq!((found.index(), found.host()), (Some("main"), Some("h1")));
        assert_eq!(stanza(&input(r#"<stanza name="plain" app=""/>"#)), Stanza { name: "plain".to_owned(), ..Stanza::default() });
    }

    #[test]
    fn what_is_new_beside_the_stanzas_is_passed_over() {
        let document =
            format!("<?xml version=\"1.0\"?>\n<!-- c --><input>{HEAD}<new a=\"1\">x<y><z/></y></new><configuration/></input>");
        assert!(read(document.as_bytes(), Root::Input).unwrap().stanzas.is_empty());
    }

    #[test]
    fn every_encoding_a_byte_order_mark_or_none_can_tell() {
        let document = input(r#"<stanza name="x://n"><param name="p">zażółć 🦀</param></stanza>"#);
        let units = |mark: &str| format!("{mark}{document}").encode_utf16().collect::<Vec<_>>();
        let little = |mark: &str| units(mark).into_iter().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        let big = |mark: &str| units(mark).into_iter().flat_map(u16::to_be_bytes).collect::<Vec<_>>();
        let utf8 = |mark: &str| format!("{mark}{document}").into_bytes();
        let mark = "\u{FEFF}";
        for bytes in [utf8(""), utf8(mark), little(""), little(mark), big(""), big(mark)] {
            let definition = read(Trickle(&bytes), Root::Input).unwrap();
            assert_eq!(definition.stanzas[0].param("p"), Some("zażółć 🦀"));
        }
    }

    #[test]
    fn a_pipe_that_stays_open_is_not_waited_for() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let feeder = thread::spawn(move || {
            let document = format!("<items>{HEAD}<item name=\"a\"/></items>");
            for chunk in document.as_bytes().chunks(7) {
                writer.write_all(chunk).unwrap();
            }
            writer
        });
        assert_eq!(read(reader, Root::Items).unwrap().stanzas[0].name, "a");
        // Open until here.
        drop(feeder.join().unwrap());
    }

    #[test]
    fn faults_are_named_and_nothing_is_repeated() {
        let within = |configuration: &str| input(configuration);
        let ended = "standard input ended before </input>; splunkd starts this program and writes an <input> document to it";
        let other = "standard input holds no <input> document; splunkd starts this program and writes one to it";
        let table = [
            (String::new(), ended),
            ("  \n".to_owned(), ended),
            (input("")[..60].to_owned(), ended),
            (input("").trim_end_matches('>').to_owned(), ended),
            ("secret nonsense".to_owned(), other),
            (r#"{"session_key":"K3Y"}"#.to_owned(), other),
            (format!("<items>{HEAD}</items>"), other),
            (
                format!("<!DOCTYPE x [<!ENTITY a \"K3Y\">]>{}", input("")),
                "the <input> document on standard input is malformed near byte N: a document type",
            ),
            (
                within(r#"<stanza name="a"><param name="p">&a;</param></stanza>"#),
                "the <input> document on standard input is malformed near byte N: an unknown reference",
            ),
            (
                within("<stanza name=\"a\"></param>"),
                "the <input> document on standard input is malformed near byte N: an end tag that does not match its start tag",
            ),
            (within("<stanza name=a/>"), "the <input> document on standard input is malformed near byte N: an attribute"),
            (within("<stanza><param/></stanza>"), "the <input> document on standard input has no name on its stanza or item"),
            (
                within("<stanza name=\"a\"><param>K3Y</param></stanza>"),
                "the <input> document on standard input has no name on one of its parameters",
            ),
            (
                within("<stanza name=\"a\"><K3Y/></stanza>"),
                "another element near byte N of standard input, in stanza a, where <param> or <param_list> was expected",
            ),
            (
                within("<stanza name=\"a\"><param_list name=\"l\"><param/></param_list></stanza>"),
                "<param> near byte N of standard input, in stanza a, where <value> was expected",
            ),
            (
                within("<stanza name=\"a\"><param name=\"l\"><b/></param></stanza>"),
                "<b> near byte N of standard input, in an element that holds text, where its end tag was expected",
            ),
            (within("<item/>"), "<item> near byte N of standard input, in <configuration>, where <stanza> was expected"),
            (
                "<input><server_uri>u</server_uri></input>".to_owned(),
                "the <input> document on standard input has no <session_key>",
            ),
            (
                "<input><session_key>K3Y</session_key></input>".to_owned(),
                "the <input> document on standard input has no <server_uri>",
            ),
            (
                "<input><session_key>K3Y</session_key><server_uri>u</server_uri></input>".to_owned(),
                "the <input> document on standard input has no <checkpoint_dir>",
            ),
        ];
        for (document, message) in table {
            let error = read(document.as_bytes(), Root::Input).unwrap_err();
            assert_eq!(unplaced(&error.to_string()), message, "{document}");
            assert!(!format!("{error:?}").contains("K3Y"), "{document}: {error:?}");
        }
        let unknown = read(input("<b/>").as_bytes(), Root::Input).unwrap_err();
        let DefinitionError::Unexpected { at, .. } = unknown else { panic!("{unknown}") };
        assert_eq!(Some(at as usize), input("<b/>").find("<b/>").map(|at| at + "<b/>".len()));
        let latin1 = [input("").as_bytes(), b"\xE9"].concat();
        assert!(read(latin1.as_slice(), Root::Input).is_ok(), "what is behind the end tag does not matter");
        let inside = within("<stanza name=\"a\"><param name=\"p\">?</param></stanza>").replace('?', "\u{7f}").into_bytes();
        let latin1: Vec<u8> = inside.into_iter().map(|byte| if byte == 0x7F { 0xE9 } else { byte }).collect();
        let message = read(latin1.as_slice(), Root::Input).unwrap_err().to_string();
        assert!(message.ends_with("neither UTF-8 nor UTF-16"), "{message}");
        let none = format!("<items>{HEAD}</items>");
        let message = read(none.as_bytes(), Root::Items).unwrap_err().to_string();
        assert_eq!(message, "the <items> document on standard input has no <item>");
    }

    #[test]
    fn a_document_cut_off_anywhere_is_refused_without_its_key() {
        let document = input(r#"<stanza name="x://n" app="a"><param name="p">&amp;</param></stanza>"#);
        for length in 0..document.len() {
            let error = read(&document.as_bytes()[..length], Root::Input).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("K3Y"), "{length}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn damage_is_never_a_panic(at in 0..200_usize, byte: u8, length in 0..4_usize) {
            let mut bytes = input(r#"<stanza name="x://n"><param_list name="p"><value>&amp;</value></param_list></stanza>"#).into_bytes();
            let end = (at + length).min(bytes.len());
            bytes.splice(at.min(end)..end, [byte, b'<']);
            if let Err(error) = read(bytes.as_slice(), Root::Input) {
                assert!(!error.to_string().contains("K3Y"), "{error}");
            }
        }
    }

    #[test]
    fn an_endless_document_is_given_up() {
        for start in
            ["<input>".to_owned(), "<input><".to_owned(), format!("<input>{HEAD}<configuration>"), "<input a=\"".to_owned()]
        {
            let endless = start.as_bytes().chain(std::io::repeat(b'x'));
            let message = read(endless, Root::Input).unwrap_err().to_string();
            assert_eq!(message, "the <input> document on standard input is larger than 4 MiB");
        }
    }

    #[test]
    fn a_read_error_is_told() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("wire cut"))
            }
        }
        let error = read(Broken, Root::Input).unwrap_err();
        assert_eq!(error.to_string(), "cannot read standard input: wire cut");
    }
}
