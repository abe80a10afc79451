//! All inputs together: sources, Secrets, places and notes, or every mistake of every file.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use sallyport_policy::source::consistency::{self, Disagreement};
use sallyport_policy::source::{Named, Secrets, Sources};

use super::files::{Input, texts};
use super::json::as_yaml;
use super::mistake::Mistake;
use super::object::{Kind, Recognised, mistakes_of, name_of, recognise, spec_of};
use super::place::{ObjectName, Place, Places};
use super::secret;
use super::tree::{AMBIGUOUS, Content, Document, Node, documents};

/// What the inputs say.
#[derive(Debug, Default)]
pub struct Loaded {
    pub sources: Sources,
    pub secrets: Secrets,
    pub places: Places,
    /// What was passed over, so that nobody wonders.
    pub notes: Vec<Note>,
    /// The files that were read, for whoever watches them.
    pub files: Vec<PathBuf>,
}

/// Something that was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub place: Place,
    pub text: String,
}

/// Reads all inputs.
///
/// # Errors
/// Every mistake of every file, by file, line and column.
pub fn load(inputs: &[Input]) -> Result<Loaded, Vec<Mistake>> {
    let (texts, mut mistakes) = texts(inputs);
    let mut loader = Loader::default();
    for text in texts {
        let file: Arc<str> = text.name.as_str().into();
        let (documents, ended) = documents(&file, &as_yaml(&text.text));
        for document in documents {
            loader.document(document);
        }
        loader.mistakes.extend(ended);
        loader.loaded.files.extend(text.path);
    }
    mistakes.append(&mut loader.mistakes);
    if mistakes.is_empty() {
        return Ok(loader.loaded);
    }
    mistakes.sort_by(|a, b| (&a.place, &a.path).cmp(&(&b.place, &b.path)));
    Err(mistakes)
}

#[derive(Default)]
struct Loader {
    loaded: Loaded,
    mistakes: Vec<Mistake>,
    /// Where each object stands, so that none is there twice.
    seen: BTreeMap<ObjectName, Place>,
}

impl Loader {
    fn document(&mut self, document: Document) {
        let Document { root, mistakes } = document;
        if root.is_null() && mistakes.is_empty() {
            return;
        }
        self.object(&root, mistakes);
    }

    fn object(&mut self, root: &Node, mut mistakes: Vec<Mistake>) {
        if !matches!(root.content, Content::Map(_)) {
            mistakes.push(Mistake::at(
                &root.place,
                "a map with apiVersion, kind and metadata",
                "another value",
            ));
            self.mistakes.append(&mut mistakes);
            return;
        }
        match recognise(root) {
            Err(found) => {
                self.mistakes.append(&mut mistakes);
                self.mistakes.extend(found);
            }
            Ok(Recognised::Foreign(kind)) => {
                // Not our business, so its YAML may use what ours may not.
                self.note(root, format!("{kind} is passed over"));
            }
            Ok(Recognised::Known(kind)) => self.known(root, kind, mistakes),
        }
    }

    fn known(&mut self, root: &Node, kind: Kind, mut mistakes: Vec<Mistake>) {
        let object = name_of(root, kind);
        mistakes.extend(mistakes_of(root, kind));
        if let Some(name) = &object {
            mistakes.extend(self.already(root, name));
        }
        if mistakes.is_empty() {
            mistakes = self.take(root, kind, object.as_ref());
        }
        mistakes = one_a_place(mistakes);
        for mistake in &mut mistakes {
            mistake.object.clone_from(&object);
        }
        self.mistakes.append(&mut mistakes);
    }

    /// A mistake if another object of the same kind has the same name.
    fn already(&mut self, root: &Node, name: &ObjectName) -> Option<Mistake> {
        let first = self.seen.get(name).cloned();
        let Some(first) = first else {
            self.seen.insert(name.clone(), root.place.clone());
            return None;
        };
        let mistake = Mistake::at(&root.place, "each object once", "it again");
        Some(mistake.with_hint(format!("it stands already at {first}")))
    }

    /// Takes in a document whose shape is right.
    fn take(&mut self, root: &Node, kind: Kind, name: Option<&ObjectName>) -> Vec<Mistake> {
        if kind == Kind::List {
            if let Some(Content::List(items)) = root.field("items").map(|node| &node.content) {
                items.iter().for_each(|item| self.object(item, Vec::new()));
            }
            return Vec::new();
        }
        let Some(name) = name else {
            return Vec::new();
        };
        let sources = &mut self.loaded.sources;
        let mistakes = match kind {
            Kind::Gateway => add(root, name, &mut sources.gateways, consistency::of_gateway),
            Kind::Policy => add(root, name, &mut sources.policies, consistency::of_policy),
            Kind::Guardrail => add(
                root,
                name,
                &mut sources.guardrails,
                consistency::of_guardrail,
            ),
            Kind::Secret => secret::read(root, name, &mut self.loaded.secrets),
            Kind::Namespace => {
                sources
                    .namespaces
                    .insert(name.name.clone(), labels_of(root));
                Vec::new()
            }
            Kind::Request | Kind::Review => {
                self.note(
                    root,
                    format!(
                        "{name} is passed over: requests and reviews are kept in the state folder"
                    ),
                );
                Vec::new()
            }
            Kind::List => Vec::new(),
        };
        self.loaded.places.record(name.clone(), root);
        mistakes
    }

    fn note(&mut self, root: &Node, text: String) {
        self.loaded.notes.push(Note {
            place: root.place.clone(),
            text,
        });
    }
}

/// One mistake a place: what the YAML says wrongly, or, of a word that is ambiguous only, what should stand there.
fn one_a_place(mistakes: Vec<Mistake>) -> Vec<Mistake> {
    let mut told: BTreeMap<(Option<Place>, String), Mistake> = BTreeMap::new();
    for mistake in mistakes {
        match told.entry((mistake.place.clone(), mistake.path.clone())) {
            Entry::Vacant(entry) => {
                entry.insert(mistake);
            }
            Entry::Occupied(mut entry) if entry.get().expected == AMBIGUOUS => {
                entry.insert(mistake);
            }
            Entry::Occupied(_) => {}
        }
    }
    told.into_values().collect()
}

fn add<T: DeserializeOwned>(
    root: &Node,
    name: &ObjectName,
    to: &mut Vec<Named<T>>,
    disagreements: impl Fn(&T) -> Vec<Disagreement>,
) -> Vec<Mistake> {
    let spec: T = match spec_of(root) {
        Ok(spec) => spec,
        Err(mistake) => return vec![*mistake],
    };
    let mistakes = disagreements(&spec)
        .iter()
        .map(|found| Mistake::of_disagreement(&root.nearest(&found.path).place, found))
        .collect();
    to.push(Named {
        namespace: name.namespace.clone(),
        name: name.name.clone(),
        spec,
    });
    mistakes
}

fn labels_of(root: &Node) -> BTreeMap<String, String> {
    let labels = root
        .field("metadata")
        .and_then(|metadata| metadata.field("labels"));
    match labels.map(|node| &node.content) {
        Some(Content::Map(entries)) => entries
            .iter()
            .filter_map(|entry| Some((entry.key.clone(), entry.value.text()?.to_owned())))
            .collect(),
        Some(Content::Scalar(_) | Content::List(_)) | None => BTreeMap::new(),
    }
}
