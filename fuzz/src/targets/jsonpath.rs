//! Paths of conditions: read or refused with a place, and they name the same values however the document is spelled.

use bytes::Bytes;
use sallyport_policy::condition::claim::ClaimPath;
use sallyport_policy::json::path::Path;
use sallyport_policy::json::{Document, Limits, canonical};

use super::{Target, texts};
use crate::input::{BETWEEN, parts, text};

pub(super) const TARGET: Target = Target {
    name: "jsonpath",
    law: "a path is read or refused with a place; it names each value once, in order, and the same values however the document is spelled",
    property,
    seeds,
    longest: 1024,
    words: &[
        "$.", "$..", "$[", "['", "']", "[*]", ".*", "..*", "[-1]", "[0]", "\\u0041", "\\'",
        "\u{1e}", "{\"a\":", "[[",
    ],
};

fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        "$\u{1e}{}",
        "$.a.b[0]\u{1e}{\"a\":{\"b\":[1,2]}}",
        "$..name\u{1e}{\"name\":1,\"x\":[{\"name\":{\"name\":2}}]}",
        "$..*\u{1e}[[1,[2]],{\"a\":[3]}]",
        "$['a b'][-1].*\u{1e}{\"a b\":[{\"x\":1},{\"y\":2,\"z\":3}]}",
        "$[\"\\u0061\"]\u{1e}{\"a\":1,\"\\u0062\":2}",
        "realm_access.roles\u{1e}{\"realm_access\":{\"roles\":[\"a\"]}}",
    ])
}

fn property(data: &[u8]) {
    let mut given = parts(data);
    let Some(written) = text(given.next()) else {
        return;
    };
    let _total = ClaimPath::parse(written);
    let path = match Path::parse(written) {
        Ok(path) => path,
        Err(error) => {
            assert!(
                (1..=written.chars().count() + 1).contains(&error.at),
                "{error}"
            );
            return;
        }
    };
    assert_eq!(Path::parse(path.as_str()).as_ref(), Ok(&path));
    let document: Vec<&[u8]> = given.collect();
    let document = Bytes::from(document.join(&BETWEEN));
    let Ok(document) = Document::parse(document, Limits::REQUEST) else {
        return;
    };
    let found = path.select(document.root());
    let places: Vec<usize> = found.iter().map(|node| node.span().start).collect();
    assert!(
        places.is_sorted_by(|a, b| a < b),
        "in the document's order, each once"
    );
    let Ok(respelled) = canonical(document.root()) else {
        return;
    };
    let respelled = Document::parse(Bytes::from(respelled), Limits::REQUEST).expect("a document");
    assert_eq!(
        values(&path, &document),
        values(&path, &respelled),
        "the same values in another spelling"
    );
}

fn values(path: &Path, document: &Document) -> Vec<Vec<u8>> {
    let nodes = path.select(document.root()).into_iter();
    let mut values: Vec<_> = nodes
        .map(|node| canonical(node).expect("a canonical form"))
        .collect();
    values.sort();
    values
}
